package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
	"ivdmover/shared/supervise"
	"ivdmover/shared/telemetry"
)

const (
	moverProgram  = "ivd-mover"
	moverGrace    = 2 * time.Minute // for a batch to be sealed and handles to be closed
	moverLastWait = time.Minute
	healthyAfter  = 5 * time.Minute // a mover that lived so long is replaced soon again
)

// localMovers are the movers that run as processes of this one. Each is replaced
// when it dies, and all end with the coordinator.
type localMovers struct {
	program string
	args    []string
	names   []string
	folder  string // for the reasons of those that end for good
	log     *slog.Logger

	mu    sync.Mutex
	ended map[string]string // guarded by mu: why a mover ended that was replaced
}

// newLocalMovers finds the movers' program; with no movers there is nothing to find.
func newLocalMovers(cfg *config.Config, o Options) (*localMovers, error) {
	m := &localMovers{program: o.Mover, args: append([]string{"--config", o.ConfigFile}, o.MoverArgs...), folder: cfg.StateDir, log: o.Log, ended: map[string]string{}}
	for i := range o.Movers {
		m.names = append(m.names, fmt.Sprintf("%s-%d", cfg.Mover.Name, i+1))
	}
	if len(m.names) == 0 || m.program != "" {
		return m, nil
	}
	var err error
	m.program, err = findMover()
	return m, err
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
func (m *localMovers) run(ctx context.Context) error {
	if len(m.names) > 0 {
		defer context.AfterFunc(ctx, func() { m.log.Info("the movers are asked to end; a second interrupt does not wait for them") })()
	}
	group, gctx := errgroup.WithContext(ctx)
	for _, name := range m.names {
		group.Go(func() error { return m.keep(gctx, name) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// keep runs a mover until ctx ends. One whose coordinator dies is asked to end, not
// killed: it hands its jobs back and closes its disks. One that ends for good, such as
// for want of its library, is an error with its reason.
func (m *localMovers) keep(ctx context.Context, name string) error {
	log := m.log.With(telemetry.Mover(name))
	reason := m.reasonFile(name)
	defer func() { _ = os.Remove(reason) }()
	err := supervise.Run(ctx, supervise.Options{
		Path: m.program, Args: append(slices.Clone(m.args), "--name", name),
		Grace: moverGrace, Orphaned: syscall.SIGTERM, Always: true, Final: true,
		Env:      append(os.Environ(), supervise.ReasonVariable+"="+reason),
		LastWait: moverLastWait, Healthy: healthyAfter, Log: log,
		Ended: func(err error) { m.note(name, err) },
	})
	if errors.Is(err, supervise.ErrForced) {
		log.Warn("mover killed: it did not end in time", "limit", moverGrace)
	}
	if !errors.Is(err, supervise.ErrFinal) || ctx.Err() != nil {
		return nil
	}
	text, readErr := os.ReadFile(reason)
	if readErr != nil {
		text = []byte("its last line above says why")
	}
	return &ivd.Error{Kind: ivd.Invalid, Op: "mover " + name, Err: fmt.Errorf("it ended for good: %s", text)}
}

func (m *localMovers) reasonFile(name string) string { return filepath.Join(m.folder, name+".reason") }

// note keeps why a mover has ended: what it has said itself, or how its process ended.
func (m *localMovers) note(name string, err error) {
	why := err.Error()
	if text := m.said(name); text != "" {
		why = text
		_ = os.Remove(m.reasonFile(name)) // of the one that has ended, not of the next
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended[name] = why
}

// said is the last error that a mover, or its child process, has reported.
func (m *localMovers) said(name string) string {
	text, err := os.ReadFile(m.reasonFile(name))
	if err != nil {
		return "" // there is none
	}
	return strings.TrimSpace(string(text))
}

// lastError is the last error of a mover that runs here; empty: none has reported one.
func (m *localMovers) lastError() string {
	for _, name := range m.names {
		why := m.said(name)
		if why == "" {
			m.mu.Lock()
			why = m.ended[name]
			m.mu.Unlock()
		}
		if why != "" {
			return fmt.Sprintf("the last error of mover %s: %s", name, why)
		}
	}
	return ""
}
