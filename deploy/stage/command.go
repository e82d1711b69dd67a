package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Ask runs a command of ivd as a user would, tells of it, and decodes what it prints
// where into is not nil.
func (s *Stage) Ask(ctx context.Context, into any, args ...string) error {
	s.say("  $ ivd %s", strings.Join(args, " "))
	return s.Quietly(ctx, into, args...)
}

// Quietly is Ask without telling.
func (s *Stage) Quietly(ctx context.Context, into any, args ...string) error {
	if into != nil {
		args = append(args, "-o", "json")
	}
	out, errs, err := s.Command(ctx, args...)
	if err != nil {
		lines := strings.Split(strings.TrimSpace(errs), "\n")
		return fmt.Errorf("ivd %s: %w: %s", args[0], err, lines[len(lines)-1])
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		return errors.Join(fmt.Errorf("ivd %s printed no JSON", strings.Join(args, " ")), err)
	}
	return nil
}

// Command runs a command of ivd and returns what it printed on both outputs.
func (s *Stage) Command(ctx context.Context, args ...string) (stdout, stderr string, err error) {
	cmd := exec.CommandContext(ctx, s.Program("ivd"), args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Env = append(os.Environ(), s.environment()...)
	err = cmd.Run()
	return out.String(), errs.String(), err
}
