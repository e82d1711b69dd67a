// Package supervise keeps one child process alive, and makes sure that it does
// not outlive its parent. ivd keeps the movers of `ivd serve --movers` with it, and
// ivd-mover the child that alone loads VDDK, which can take its process down.
//
// A child that dies is replaced, later each time, unless its exit status says that
// another one would fail the same way. When the parent is asked to end, it asks the
// child, and kills it after Options.Grace or at a second signal. When the parent
// dies, the kernel sends the child Options.Orphaned (PR_SET_PDEATHSIG); a child that
// calls Bind ends even where that signal was lost, since an inherited pipe ends too.
//
// It never starts a second child before the first one has ended.
package supervise

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"ivdmover/shared/pause"
)

// ExitFinal is the exit status (EX_CONFIG of sysexits.h) of a child that has
// reported an error which a restart cannot mend.
const ExitFinal = 78

// ExitReplace is the exit status (EX_TEMPFAIL) of a child that has handed its work
// back because a fresh process does it better: the library has lost threads in it.
const ExitReplace = 75

// ErrFinal is what Run returns when the child ended with ExitFinal. The child has
// reported the reason.
var ErrFinal = errors.New("the child process gave up")

// ErrForced is what Run returns when the child did not end as it was asked to, and
// was killed.
var ErrForced = errors.New("the child process was killed: it did not end when asked to")

// Options say which child to keep.
type Options struct {
	Path   string
	Args   []string // without the program's name
	Env    []string // nil: this process's
	Stdout *os.File // nil: this process's standard error, which is the child's as well

	// Signals ask for the end, as the context's end does: the first one is passed on
	// and the child's end is waited for; the second one kills the child.
	Signals <-chan os.Signal
	// Grace bounds that wait. 0: only a second signal does.
	Grace time.Duration
	// Orphaned is the signal that the child gets when this process dies. 0: SIGKILL.
	Orphaned syscall.Signal
	// Always replaces the child however it ended, with status 0 or ExitFinal too, and
	// tries again where it could not be started.
	Always bool

	FirstWait time.Duration // before the first replacement; doubled each time. 0: a second
	LastWait  time.Duration // at most. 0: half a minute
	Healthy   time.Duration // a child that lived this long resets the wait to FirstWait. 0: a minute

	Log *slog.Logger // nil: nothing is logged
}

// Run starts the child and replaces it until the end is asked for. Without Always,
// it also returns when a child could not be started, ended by itself with status 0,
// or gave up (ErrFinal).
func Run(ctx context.Context, o Options) error {
	// The kernel takes the end of the thread that started the child for the end of
	// the parent.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	o.defaults()
	backoff, deaths := pause.Backoff{First: o.FirstWait, Cap: o.LastWait}, 0
	for ctx.Err() == nil {
		started := time.Now()
		stopped, err := once(ctx, o)
		if stopped {
			return err
		}
		if final, err := finality(err); final && !o.Always {
			return err
		}
		lived := time.Since(started)
		if lived >= o.Healthy {
			deaths = 0
			if exitStatus(err) == ExitReplace {
				o.Log.Warn("child process replaced at its own request", "lived", lived.Round(time.Millisecond))
				continue
			}
		}
		if err == nil {
			err = errors.New("exit status 0")
		}
		deaths++
		wait := backoff.After(deaths)
		o.Log.Warn("child process ended and is replaced", "err", err, "lived", lived.Round(time.Millisecond), "in", wait)
		if !waitFor(ctx, o.Signals, wait) {
			return nil
		}
	}
	return nil
}

func (o *Options) defaults() {
	o.FirstWait = cmp.Or(o.FirstWait, time.Second)
	o.LastWait = cmp.Or(o.LastWait, 30*time.Second)
	o.Healthy = cmp.Or(o.Healthy, time.Minute)
	o.Orphaned = cmp.Or(o.Orphaned, syscall.SIGKILL)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	o.Stdout = cmp.Or(o.Stdout, os.Stderr)
}

// once runs one child. stopped reports that the end was asked for.
func once(ctx context.Context, o Options) (stopped bool, err error) {
	c, err := start(o)
	if err != nil {
		return false, fmt.Errorf("start %s: %w", o.Path, err)
	}
	o.Log.Info("child process started", "pid", c.cmd.Process.Pid)
	return c.wait(ctx, o)
}

// finality reports whether another child would fare no better than one that ended
// by itself with err, and what Run then returns.
func finality(err error) (final bool, _ error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return true, nil
	case !errors.As(err, &exit):
		return true, err // it could not be started
	case exit.ExitCode() == ExitFinal:
		return true, ErrFinal
	}
	return false, nil
}

// waitFor waits before a replacement. It reports whether the whole wait passed: a
// signal, or the context's end, finds no child and ends Run.
func waitFor(ctx context.Context, signals <-chan os.Signal, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-signals:
	case <-ctx.Done():
	}
	return false
}
