package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
)

// CheckMovers has the movers' program do what it does before it touches a network, once
// for each mover that Run would start; where that is none, for a mover of this host. What
// a mover would end of is an error; its log goes to the writer.
func CheckMovers(ctx context.Context, cfg *config.Config, o Options, log io.Writer) error {
	movers := o.Movers
	o.Movers = max(1, movers)
	m, err := newLocalMovers(cfg, o)
	if err != nil {
		return err
	}
	if movers == 0 {
		m.names = []string{cfg.Mover.Name}
	}
	var wrong []error
	for _, name := range m.names {
		wrong = append(wrong, m.check(ctx, name, log))
	}
	return errors.Join(wrong...)
}

func (m *localMovers) check(ctx context.Context, name string, log io.Writer) error {
	cmd := exec.CommandContext(ctx, m.program, append([]string{"check", "--name", name}, m.args...)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	err := cmd.Run()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var wrong []error
	for line := range strings.Lines(said.String()) {
		if reason, is := strings.CutPrefix(line, moverProgram+": "); is {
			wrong = append(wrong, &ivd.Error{Kind: ivd.Invalid, Op: "mover " + name, Err: errors.New(strings.TrimSpace(reason))})
		} else {
			fmt.Fprint(log, line)
		}
	}
	if err != nil && len(wrong) == 0 {
		wrong = append(wrong, &ivd.Error{Kind: ivd.Permanent, Op: "mover " + name, Err: fmt.Errorf("%s check: %w", m.program, err), Remedy: "use an " + moverProgram + " of this release"})
	}
	return errors.Join(wrong...)
}
