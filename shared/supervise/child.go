package supervise

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// child is one child process and the pipe that ties it to this one.
type child struct {
	cmd   *exec.Cmd
	tie   *os.File // the write end; nothing is ever written
	ended chan error
}

func start(o Options) (*child, error) {
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	cmd := exec.Command(o.Path, o.Args...)
	cmd.Env = o.Env
	cmd.Stdout, cmd.Stderr = o.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{theirs} // tieDescriptor in the child
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: o.Orphaned,
		Setpgid:   true, // a terminal's interrupt reaches the child through us only, once
	}
	if err := cmd.Start(); err != nil {
		_ = ours.Close()
		return nil, err
	}
	c := &child{cmd: cmd, tie: ours, ended: make(chan error, 1)}
	go func() { c.ended <- cmd.Wait() }()
	return c, nil
}

// wait waits for the child's end; stopped reports that the end was asked for.
func (c *child) wait(ctx context.Context, o Options) (stopped bool, err error) {
	defer c.tie.Close()
	done := ctx.Done()
	var late <-chan time.Time
	for {
		ask := os.Signal(syscall.SIGTERM)
		select {
		case err := <-c.ended:
			if stopped && endedBySignal(err) {
				err = nil // it did not listen for signals yet
			}
			return stopped, err
		case <-late:
			return true, c.kill()
		case <-done:
			done = nil // once
		case ask = <-o.Signals:
			if stopped {
				return true, c.kill()
			}
		}
		if stopped {
			continue // the context has ended after a signal
		}
		stopped = true
		_ = c.cmd.Process.Signal(ask) // it may have ended meanwhile: its end is waited for
		if o.Grace > 0 {
			t := time.NewTimer(o.Grace)
			defer t.Stop()
			late = t.C
		}
	}
}

// kill ends the child at once. It is no error where the child was ending anyway.
func (c *child) kill() error {
	_ = c.cmd.Process.Kill()
	if err := <-c.ended; err == nil {
		return nil
	}
	return ErrForced
}

// endedBySignal reports whether a process ended by a request to end.
func endedBySignal(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && (status.Signal() == syscall.SIGTERM || status.Signal() == syscall.SIGINT)
}

// exitStatus is a child's exit status; -1 where it has none.
func exitStatus(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -1
}
