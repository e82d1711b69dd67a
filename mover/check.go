package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/spf13/cobra"

	"ivdmover/shared/ivd"
	"ivdmover/vddk"
)

// checkChild is the hidden command that checks in a process of its own.
const checkChild = "check-child"

// checked is added to the exit status of that process: one that crashes has another.
const checked = 64

// errSaid is the end of a process whose child has reported why.
var errSaid = errors.New("the child process has said why")

func checkCommands(f *flags) []*cobra.Command {
	return []*cobra.Command{{
		Use:   "check --config FILE",
		Short: "Do what a mover does at its start, up to the network, and end",
		Long: `check reads the configuration and every file that it names, makes VDDK's folder and
settings, and loads the library, as ivd-mover does at its start. What that would end
of is said in one line. It connects to nothing, and opens no disk.

Exit status: 0 it would go on, 1 it would fail, 2 wrong usage or configuration.`,
		Example: `  ivd-mover check --config /etc/ivd/ivd.yaml
  ivd-mover check --config /etc/ivd/ivd.yaml --name proxy-2`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return check(c.Context(), f) },
	}, {
		Use: checkChild, Hidden: true, Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			s, err := begin(f)
			if err == nil {
				s.end()
				return nil
			}
			report(err)
			status := exitFailed
			if errors.As(err, new(usageError)) {
				status = exitUsage
			}
			os.Exit(checked + status)
			return nil
		},
	}}
}

// check has a child begin and end, as only a child loads the library.
func check(ctx context.Context, f *flags) error {
	c, _, err := f.load()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program's file: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, loadLimit)
	defer cancel()
	child := exec.CommandContext(ctx, self, checkChild, "--config", f.config, "--name", c.Mover.Name, "--queue", c.Queue.URL, "--log-format", f.logFormat, "--log-level", f.logLevel)
	child.Env = append(os.Environ(), vddk.Environment(c.Mover.VDDK.LibDir)...)
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	child.Stderr = os.Stderr
	err = child.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && (exit.ExitCode() == checked+exitFailed || exit.ExitCode() == checked+exitUsage):
		return said{errSaid, exit.ExitCode() - checked}
	case ctx.Err() != nil:
		err = fmt.Errorf("not done after %s", loadLimit)
	}
	if err != nil {
		return &ivd.Error{
			Kind: ivd.Permanent, Op: "the process that loads the library", Err: err,
			Remedy: "the library took its process down: check mover.vddk.libdir, and send the lines above to whoever gave it to you",
		}
	}
	return nil
}

// said is an error that was reported by a child that ended with a status.
type said struct {
	error
	status int
}
