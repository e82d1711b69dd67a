// Package supervise keeps one child process alive, and makes sure that it does
// not outlive its parent. ivd keeps the movers of `ivd serve --movers` with it, and
// ivd-mover the child that alone loads VDDK, which can take its process down.
//
// A child that dies is replaced, later each time, unless its exit status says that
// another one would fail the same way. So is one that gives no sign of life
// (Options.Silence), after it was killed. When the parent is asked to end, it asks the
// child, and kills it after Options.Grace or at a second signal. When the parent
// dies, the kernel sends the child Options.Orphaned (PR_SET_PDEATHSIG); a child that
// calls Bind ends even where that signal was lost, since an inherited pipe ends too.
//
// A second child runs beside the first only where that one has asked for it
// (Options.Beside), or does not die although it was killed.
package supervise

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"
	"runtime"
	"syscall"
	"time"
)

// ExitFinal is the exit status (EX_CONFIG of sysexits.h) of a child that has
// reported an error which a restart cannot mend.
const ExitFinal = 78

// ExitReplace is the exit status (EX_TEMPFAIL) of a child that has handed its work
// back because a fresh process does it better: the library has lost threads in it.
const ExitReplace = 75

// ReasonVariable is the variable of a child's environment that names a file. A child
// that gives up for good writes the reason there, and ends with ExitFinal.
const ReasonVariable = "IVD_REASON_FILE"

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
	// Final ends Run with ErrFinal at ExitFinal, with Always too.
	Final bool

	// Silence is how long a child may give no sign of life (Voice), from its start on,
	// before it is killed and replaced, in whole seconds. 0: however long.
	Silence time.Duration
	// Beside are the arguments of a second child, which takes the work over that the
	// first one asks to be relieved of (Voice.Relieve). When the first has ended, the
	// second is asked to end, and is replaced by one with Args. nil: there is none.
	Beside []string

	FirstWait time.Duration // before the first replacement; doubled each time. 0: a second
	LastWait  time.Duration // at most. 0: half a minute
	Healthy   time.Duration // a child that lived this long resets the wait to FirstWait. 0: a minute

	// Ended is told why a child ended that is replaced. nil: nobody is.
	Ended func(error)

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
	f := newFamily(o)
	defer f.leave()
	if ctx.Err() != nil || f.next() {
		return f.result
	}
	listen := time.NewTicker(listenEvery)
	defer listen.Stop()
	done := ctx.Done()
	for over := false; !over; {
		select {
		case e := <-f.events:
			over = f.take(e)
		case <-f.wait:
			over = f.next()
		case <-listen.C:
			over = f.listen()
		case s := <-o.Signals:
			over = f.ask(s, true)
		case <-done:
			done = nil // once
			over = f.ask(syscall.SIGTERM, false)
		case <-f.late:
			over = f.force()
		}
	}
	return f.result
}

func (o *Options) defaults() {
	o.FirstWait = cmp.Or(o.FirstWait, time.Second)
	o.LastWait = cmp.Or(o.LastWait, 30*time.Second)
	o.Healthy = cmp.Or(o.Healthy, time.Minute)
	o.Orphaned = cmp.Or(o.Orphaned, syscall.SIGKILL)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	o.Stdout = cmp.Or(o.Stdout, os.Stderr)
}
