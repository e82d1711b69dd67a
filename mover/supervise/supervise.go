// Package supervise keeps one child process alive, and makes sure that it does
// not outlive its parent.
//
// A native library can take its whole process down: a panic calls abort, a lost
// connection can hang a thread for ever. So the program that talks to the queue's
// operators, init systems and shells loads no such library; its child does, and a
// child that dies is replaced with back-off. The child ends when its parent does,
// however that ended: the kernel sends it SIGKILL (PR_SET_PDEATHSIG), and the end
// of an inherited pipe, which holds even where the signal was lost, ends it too.
//
// Run never restarts a child that says, by its exit status ExitFinal, that a
// restart cannot mend what is wrong; and it never waits for a child longer than
// until the second signal.
package supervise

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// ExitFinal is the exit status (EX_CONFIG of sysexits.h) of a child that has
// reported an error which a restart cannot mend.
const ExitFinal = 78

// ExitReplace is the exit status (EX_TEMPFAIL) of a child that has handed its work
// back since another process would do better: the library has lost threads in it.
const ExitReplace = 75

// ErrFinal is what Run returns when the child ended with ExitFinal: the child has
// said why.
var ErrFinal = errors.New("the child process gave up")

// ErrForced is what Run returns after a second signal.
var ErrForced = errors.New("ended at once by a second signal")

// Options say which child to keep. All but Signals, Log and the waits are those
// of exec.Cmd.
type Options struct {
	Path string
	Args []string // without the program's name
	Env  []string
	// Signals ask for the end: the first one is forwarded and the child's end is
	// waited for; the second one kills it.
	Signals <-chan os.Signal
	Log     *slog.Logger

	FirstWait time.Duration // before the first replacement; doubled each time. 0: a second
	LastWait  time.Duration // at most. 0: half a minute
	Healthy   time.Duration // a child that lived so long starts the waits anew. 0: a minute
}

// Run starts the child and replaces it until it ends by itself with status 0, is
// asked to end, or gives up. Run must be called on a thread that lives as long as
// the process (the main goroutine with runtime.LockOSThread in init): the kernel
// takes the end of the *thread* that made the child for the end of its parent.
func Run(ctx context.Context, o Options) error {
	o.defaults()
	wait := o.FirstWait
	for {
		begun := time.Now()
		child, err := start(o)
		if err != nil {
			return fmt.Errorf("start %s: %w", o.Path, err)
		}
		o.Log.Info("child started", "pid", child.cmd.Process.Pid)
		stopped, err := child.wait(ctx, o.Signals)
		switch {
		case errors.Is(err, ErrForced), stopped:
			return err
		case err == nil:
			return nil
		case exitStatus(err) == ExitFinal:
			return ErrFinal
		}
		if time.Since(begun) >= o.Healthy {
			wait = o.FirstWait
			if exitStatus(err) == ExitReplace {
				o.Log.Warn("child asked to be replaced", "pid", child.cmd.Process.Pid)
				continue
			}
		}
		o.Log.Warn("child died and is replaced", "pid", child.cmd.Process.Pid, "how", err, "in", wait)
		if over := pause(ctx, o.Signals, wait); over {
			return nil
		}
		wait = min(2*wait, o.LastWait)
	}
}

func (o *Options) defaults() {
	o.FirstWait = orElse(o.FirstWait, time.Second)
	o.LastWait = orElse(o.LastWait, 30*time.Second)
	o.Healthy = orElse(o.Healthy, time.Minute)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

func orElse(d, other time.Duration) time.Duration {
	if d <= 0 {
		return other
	}
	return d
}

// pause waits before a replacement; a signal in between finds no child and ends
// the program.
func pause(ctx context.Context, signals <-chan os.Signal, d time.Duration) (over bool) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return false
	case <-signals:
	case <-ctx.Done():
	}
	return true
}

// endedBySignal tells whether a process ended by a request to end.
func endedBySignal(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && (status.Signal() == syscall.SIGTERM || status.Signal() == syscall.SIGINT)
}

func exitStatus(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -1
}

// child is one child process and the pipe that ties it to this one.
type child struct {
	cmd  *exec.Cmd
	tie  *os.File // the write end; nothing is ever written
	done chan error
}

func start(o Options) (*child, error) {
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	cmd := exec.Command(o.Path, o.Args...)
	cmd.Env = o.Env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{theirs} // descriptor tieDescriptor there
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGKILL,
		Setpgid:   true, // a terminal's interrupt reaches the child through us only, once
	}
	if err := cmd.Start(); err != nil {
		_ = ours.Close()
		return nil, err
	}
	c := &child{cmd: cmd, tie: ours, done: make(chan error, 1)}
	go func() { c.done <- cmd.Wait() }()
	return c, nil
}

// wait waits for the child's end; stopped says that the end was asked for.
func (c *child) wait(ctx context.Context, signals <-chan os.Signal) (stopped bool, err error) {
	defer c.tie.Close()
	ended := ctx.Done()
	for {
		select {
		case err := <-c.done:
			if stopped && endedBySignal(err) {
				err = nil // it had not begun yet to listen for signals
			}
			return stopped, err
		case <-ended:
			ended = nil
			c.signal(syscall.SIGTERM)
			stopped = true
		case s := <-signals:
			if stopped {
				_ = c.cmd.Process.Kill()
				if err := <-c.done; err == nil {
					return true, nil // it was ending anyway
				}
				return true, ErrForced
			}
			c.signal(s)
			stopped = true
		}
	}
}

// signal ignores that the child may have ended meanwhile: its end is waited for.
func (c *child) signal(s os.Signal) { _ = c.cmd.Process.Signal(s) }
