package serve

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"ivdmover/coordinator/broker"
	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
)

const (
	moverProgram = "ivd-mover"
	moverEnd     = 2 * time.Minute // for a batch to be sealed and handles to be closed
	firstRestart = time.Second
	lastRestart  = time.Minute
	calm         = 5 * time.Minute // a mover that lived so long is restarted soon again
)

// fleet is the movers that run as processes of this one. Each is started again
// when it dies, later each time, and all end with the coordinator.
type fleet struct {
	program string
	args    []string
	names   []string
	log     *slog.Logger
}

// newFleet finds the movers' program; with no movers there is nothing to find.
func newFleet(cfg *config.Config, server *broker.Server, o Options) (*fleet, error) {
	f := &fleet{program: o.Mover, args: []string{"--config", o.ConfigFile}, log: o.Log}
	if server != nil {
		f.args = append(f.args, "--queue", server.ClientURL())
	}
	f.args = append(f.args, o.MoverArgs...)
	for i := range o.Movers {
		f.names = append(f.names, fmt.Sprintf("%s-%d", cfg.Mover.Name, i+1))
	}
	if len(f.names) == 0 || f.program != "" {
		return f, nil
	}
	var err error
	f.program, err = findMover()
	return f, err
}

func findMover() (string, error) {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), moverProgram)
		if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
			return beside, nil
		}
	}
	path, err := exec.LookPath(moverProgram)
	if err != nil {
		return "", &ivd.Error{Kind: ivd.NotFound, Op: "--movers", Err: fmt.Errorf("%s is neither beside ivd nor on PATH", moverProgram), Remedy: "install it there, or start movers by themselves"}
	}
	return path, nil
}

// run keeps all movers alive until ctx ends.
func (f *fleet) run(ctx context.Context) error {
	if len(f.names) > 0 {
		defer context.AfterFunc(ctx, func() { f.log.Info("the movers are asked to end; a second interrupt does not wait for them") })()
	}
	var group errgroup.Group
	for _, name := range f.names {
		group.Go(func() error {
			f.keep(ctx, name)
			return nil
		})
	}
	_ = group.Wait() // none of them fails
	<-ctx.Done()
	return nil
}

// keep runs a mover again and again.
func (f *fleet) keep(ctx context.Context, name string) {
	wait := firstRestart
	for ctx.Err() == nil {
		began := time.Now()
		err := f.once(ctx, name)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > calm {
			wait = firstRestart
		}
		f.log.Warn("a mover has ended and is started again", "mover", name, "err", err, "after", time.Since(began).Round(time.Millisecond), "in", wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		wait = min(2*wait, lastRestart)
	}
}

// once runs a mover until it ends. When ctx ends it is asked to end, and killed
// when it does not.
func (f *fleet) once(ctx context.Context, name string) error {
	// The kernel asks it to end when the thread that started it does, which is to
	// be no sooner than this process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	cmd := exec.CommandContext(ctx, f.program, append(f.args, "--name", name)...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = moverEnd
	// A group of its own: an interrupt from the terminal is the coordinator's, who
	// asks the movers to end.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	err := cmd.Run()
	if err == nil {
		err = fmt.Errorf("it ended by itself")
	}
	return err
}
