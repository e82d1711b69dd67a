package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"

	"ivdmover/mover/disk"
	"ivdmover/mover/pipeline"
	"ivdmover/mover/worker"
	"ivdmover/shared/budget"
	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
	"ivdmover/shared/store/meter"
	"ivdmover/shared/supervise"
	"ivdmover/vddk"
)

// child works until it is asked to end, and exits with the status that tells the
// supervisor whether to replace it.
func child(f flags) {
	if err := supervise.Bind(func() { os.Exit(exitFailed) }); err != nil {
		report(err)
		os.Exit(exitUsage)
	}
	err := work(f, live())
	if err == nil {
		os.Exit(0)
	}
	report(err)
	if errors.Is(err, worker.ErrReplace) {
		os.Exit(supervise.ExitReplace)
	}
	tellEnd(f, err)
	switch {
	case final(err):
		os.Exit(supervise.ExitFinal)
	}
	os.Exit(exitFailed)
}

// final reports whether another child would fail in the same way.
func final(err error) bool {
	var load *vddk.LoadError
	return errors.As(err, &load) || !ivd.KindOf(err).Retry()
}

// work loads the library, opens the repository, connects to the queue, and does jobs
// until a signal. It must run on the main thread, as the library requires.
func work(f flags, l *life) (err error) {
	stop := make(chan struct{})
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-signals
		close(stop)
		<-signals
		os.Exit(exitFailed)
	}()

	s, err := begin(&f)
	if err != nil {
		return err
	}
	defer s.end()
	c, log, host := s.config, s.log, s.host
	l.loaded.Store(true)
	// Go returns memory to the system before the process exceeds its bounds by much.
	debug.SetMemoryLimit(int64(c.Mover.Memory) + int64(c.Mover.DedupMemory) + overhead)

	have, err := reach(c, log, stop)
	if errors.Is(err, errStopped) {
		return nil
	}
	if err != nil {
		return err
	}
	defer have.queue.Close()
	w, err := worker.New(worker.Options{
		Name: f.worker(c), Handles: max(0, c.Mover.Handles-supervise.LostSlots()), LostSlots: supervise.LostSlots(), DedupMemory: int64(c.Mover.DedupMemory),
		VDDK: host.Version(), NoRestore: host.CannotWrite(), Modes: host.Modes(), Disks: host, Devices: host,
		Queue: have.queue, Repository: have.repository, Sealed: have.sealed, Recheck: c.Repository.Recheck.Std(), Checks: c.Mover.ChecksUploads(), Unproven: c.Repository.DedupTrust == config.DedupWriters, Log: log, Facts: host.Facts,
		Yield:  func() { host.Yield(); l.askRelief() },
		Memory: budget.NewMemory(int64(c.Mover.Memory), func(n int) budget.Buffer { return host.Alloc(n) }),
	})
	if err != nil {
		return err
	}
	l.worker.Store(w)
	err = w.Run(context.Background(), stop)
	log.Info("the mover has ended", "asked_of_the_store", meter.Of(have.store))
	return err
}

// start is what a mover has before it touches a network.
type start struct {
	config *config.Config
	log    *slog.Logger
	host   *disk.Host
	end    func() // must be called when all disks are closed
}

// begin does all that a mover does before it touches a network: what it fails of,
// `ivd-mover check` finds. It must run on the main thread, as the library requires.
func begin(f *flags) (s start, err error) {
	if s.config, s.log, err = f.load(); err != nil {
		return s, err
	}
	slog.SetDefault(s.log)
	s.host, s.end, err = loadHost(s.config, f.part(), s.log)
	return s, err
}

// loadHost writes VDDK's configuration, loads the library, and finds out what this
// host can do. The caller must call end when all disks are closed.
func loadHost(c *config.Config, part string, log *slog.Logger) (host *disk.Host, end func(), err error) {
	v := c.Mover.VDDK
	settings := settingsOf(c, part)
	file, unknown, err := settings.Write()
	if err != nil {
		return nil, nil, err
	}
	for _, key := range unknown {
		log.Warn("unknown key in VDDK's configuration file: VDDK ignores such keys silently", "file", v.ConfigFile, "key", key)
	}
	lib, err := vddk.Load(vddk.Options{LibDir: v.LibDir, ConfigFile: file, Log: log})
	if err != nil {
		return nil, nil, withRemedy(err)
	}
	for _, lack := range disk.Lacks(lib.Missing()) {
		log.Warn("this VDDK does not have every function", "without", lack)
	}
	host, err = disk.NewHost(lib, disk.Options{
		Transports: v.Transports, Machine: disk.ThisMachine(c.Mover.BIOSUUID, c.Mover.LUNs), Folder: settings.Folder, Log: log,
	})
	if err != nil {
		lib.Exit()
		return nil, nil, err
	}
	return host, lib.Exit, nil
}

// settingsOf are VDDK's for a part of the mover, or, where it is empty, for the mover
// itself. Each has a folder of its own: Cleanup must not find what another has attached.
func settingsOf(c *config.Config, part string) disk.Settings {
	v := c.Mover.VDDK
	s := disk.Settings{Folder: v.TempDir, User: v.ConfigFile}
	if s.Folder == "" {
		s.Folder = filepath.Join(os.TempDir(), fmt.Sprintf("ivd-mover-%d-%s", os.Geteuid(), c.Mover.Name))
	}
	if part != "" {
		s.Folder += "-" + part
	}
	return s
}

// overhead is the memory that a mover takes, by Go's account, beside its buffers and
// its dedup memory: the compressor's tables, code, stacks, records.
const overhead = 64 << 20

// withRemedy gives an error of loading the library its remedy. A library that fails
// to initialise is taken to fail at the next start too, unless the failure is
// transient or the machine is short of memory.
func withRemedy(err error) error {
	const noMemory = 2
	var load *vddk.LoadError
	var v *vddk.Error
	switch {
	case errors.As(err, &load):
		return &ivd.Error{Kind: ivd.Invalid, Err: err, Remedy: load.Remedy}
	case errors.As(err, &v) && v.Class != vddk.Transient && v.Code != noMemory:
		return &ivd.Error{
			Kind: ivd.Invalid, Err: err,
			Remedy: "unpack the distribution again into mover.vddk.libdir, a file of it may be missing; --log-level debug shows the library's own lines",
		}
	}
	return err
}

// checkMemory refuses a budget that is too small for as many disks as may be open at
// once: a job would wait for its buffers for ever. packSize is the repository's, in
// bytes.
func checkMemory(c *config.Config, packSize int) error {
	geometry := ivd.Geometry{ChunkSize: ivd.DefaultChunkSize}
	need := (pipeline.NeedMemory(geometry, disk.LargestRequest(c.Mover.VDDK.Transports), packSize) + 1<<20 - 1) &^ (1<<20 - 1)
	have, handles := int64(c.Mover.Memory), int64(c.Mover.Handles)
	if have >= handles*need {
		return nil
	}
	return &ivd.Error{
		Kind:   ivd.Invalid,
		Op:     "mover.memory",
		Err:    fmt.Errorf("%s for %d handles: each open disk needs %s", c.Mover.Memory, handles, config.Size(need)),
		Remedy: fmt.Sprintf("set mover.memory to %s, or mover.handles to %d", config.Size(handles*need), max(1, have/need)),
	}
}
