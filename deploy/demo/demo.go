// Package demo tells the whole story of the product on one machine, with its own
// check: a laboratory with a vCenter and IVDs, a coordinator, two movers and a
// repository; three backups, one of which loses a mover; a pack that is damaged, found
// and healed; restores that are compared byte by byte; and a collection.
//
// Nothing is mocked and nothing is skipped; what it prints was measured. It cleans
// up after itself, whatever happens.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ivdmover/deploy/lab/owner"
	"ivdmover/deploy/stage"
	"ivdmover/shared/ivd"
)

// Options of a demonstration.
type Options struct {
	Keep       bool      // leave the folder with everything in it
	Disks      int       // plain disks beside the four that the story needs
	Size       int64     // bytes of each of them
	Repository string    // "dir", "s3" (starts a versitygw on loopback), or a dir:// URL
	JSON       bool      // the result as one object; the story goes to Story
	Out, Story io.Writer // the same where JSON is not set
}

// show is one performance.
type show struct {
	Options
	*stage.Stage
	lab, coordinator *stage.Process
	movers           []*stage.Process
	disks            map[string]owner.Disk
	runs             []stage.Run // the backups
	damaged          string      // the disk whose newest point needs the pack that was damaged
	firstFiles       string      // the file system's content at the first backup
	restored         []restored
	result           Result
}

// Run plays the demonstration. Its error is nil only when every comparison came
// out identical and nothing was left behind.
func Run(ctx context.Context, o Options) (err error) {
	if r := o.Repository; r != "" && r != "dir" && r != "s3" && !strings.HasPrefix(r, "dir://") {
		return ivd.Errorf(ivd.Invalid, "--repository %q: want dir, s3 or a dir:// URL", r)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "ivd-demo-")
	if err != nil {
		return err
	}
	st, err := stage.New(dir, filepath.Dir(self))
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	s := &show{Options: o, Stage: st, disks: map[string]owner.Disk{}}
	s.Config.AckWait = "5s"          // the default of 20 s is long to watch
	s.Config.Collect = "min_age: 0s" // by default packs of the last day stay
	s.Say = func(format string, args ...any) { fmt.Fprintf(o.Story, format+"\n", args...) }
	defer func() { err = errors.Join(err, s.strike(ctx)) }()
	return s.play(ctx)
}

func (s *show) strike(ctx context.Context) error {
	err := s.Strike(context.WithoutCancel(ctx))
	if s.Keep {
		s.Say("\nkept: %s", s.Dir)
		return err
	}
	return errors.Join(err, os.RemoveAll(s.Dir))
}

// play is the story.
func (s *show) play(ctx context.Context) error {
	scenes := []struct {
		title string
		act   func(context.Context) error
	}{
		{"a vCenter with two datastores", s.startLab},
		{"its disks: a file system, an odd size, a large one, one in use by a VM", s.makeDisks},
		{"a repository, the coordinator and two movers", s.startService},
		{"first backup: what is allocated", s.firstBackup},
		{"guests write", s.guestsWrite},
		{"second backup: only what changed", s.secondBackup},
		{"guests write more; third backup, with a mover killed in the middle", s.thirdBackup},
		{"a byte of a pack flips; the newest points are read back", s.damage},
		{"fourth backup: it stores again what was lost", s.heal},
		{"restore every disk to a new one", s.restoreAll},
		{"compare byte by byte", s.compareAll},
		{"give up all points but the newest, and collect", s.collect},
		{"nothing is left behind", s.checkLeftovers},
	}
	for _, scene := range scenes {
		s.Say("\n● %s", scene.title)
		begun := time.Now()
		if err := scene.act(ctx); err != nil {
			if ctx.Err() != nil {
				return errors.New("interrupted")
			}
			return fmt.Errorf("%s: %w", scene.title, err)
		}
		s.result.Steps = append(s.result.Steps, Step{scene.title, time.Since(begun).Seconds()})
	}
	return s.report()
}

func (s *show) startLab(ctx context.Context) (err error) {
	s.lab, err = s.StartLab(ctx)
	s.Say("  %s, thumbprint %s", s.Lab.URL, s.Lab.Thumbprint)
	return err
}

func (s *show) startService(ctx context.Context) (err error) {
	switch {
	case s.Repository == "s3":
		if _, err := s.StartS3(ctx); err != nil {
			return err
		}
	case strings.HasPrefix(s.Repository, "dir://"):
		s.Config.Repository = s.Repository
		s.Config.Passphrase = strings.TrimRight(strings.TrimPrefix(s.Repository, "dir://"), "/") + ".passphrase" // it outlives the demo, as the repository does
	}
	if err := s.WriteConfig(); err != nil {
		return err
	}
	if err := s.InitRepository(ctx); err != nil {
		return err
	}
	s.Say("  the repository is encrypted; its passphrase is in %s", s.Config.Passphrase)
	if s.coordinator, err = s.StartCoordinator(ctx); err != nil {
		return err
	}
	for _, name := range []string{"proxy-1", "proxy-2"} {
		m, err := s.StartMover(name)
		if err != nil {
			return err
		}
		s.movers = append(s.movers, m)
	}
	return s.AwaitMovers(ctx, s.movers[0], len(s.movers))
}
