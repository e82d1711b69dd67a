package broker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ivdmover/coordinator/broker"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/pause"
	"ivdmover/shared/queue"
)

// A full file system is said to be full, and as soon as it is not any more all goes on:
// what was stored before is there, and nobody has to start anything again.
func TestFullFileSystem(t *testing.T) {
	mount := t.TempDir()
	if err := unix.Mount("tmpfs", mount, "tmpfs", 0, "size=8m"); err != nil {
		t.Fatalf("mount a tmpfs (the tests run as root): %v", err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(mount, 0)) })
	dir := filepath.Join(mount, "queue")
	said := &heard{}
	s := start(t, broker.Options{Dir: dir, Listen: "127.0.0.1:0", Logger: slog.New(slog.NewTextHandler(said, nil))})
	url := s.ClientURL()
	inside := connect(t, queue.Options{InProcess: s, Patience: time.Second})
	outside := connect(t, queue.Options{URL: url, CredsFile: s.CoordinatorCreds(), Patience: time.Second})
	_, err := inside.State().Put(t.Context(), "before", 1)
	must(t, err)
	must(t, inside.Publish(t.Context(), testJob("before")))

	for round := range 2 {
		empty := fill(t, mount)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for s.Trouble() == nil {
			_, _ = inside.State().Put(ctx, "while", strings.Repeat("x", 5000)) // what fails is looked at below
			must(t, ctx.Err())
		}
		_, err = inside.State().Put(ctx, "while", strings.Repeat("x", 5000))
		text := fmt.Sprintf("%v; %s", err, ivd.RemedyOf(err))
		if ivd.KindOf(err) != ivd.Transient || !strings.Contains(text, "full") || !strings.Contains(text, dir) || !strings.Contains(text, "make space") {
			t.Errorf("while it is full: %s (%s)", text, ivd.KindOf(err))
		}
		empty()
		for _, q := range []*queue.Queue{inside, outside} {
			for err = errors.New("not tried"); err != nil; _ = pause.For(ctx, 100*time.Millisecond) {
				must(t, ctx.Err())
				_, err = q.State().Put(ctx, "after", round)
			}
		}
		if s.ClientURL() != url {
			t.Errorf("it listens on %s now, not on %s", s.ClientURL(), url)
		}
	}
	n, _, err := queue.Get[int](t.Context(), outside.State(), "before")
	if err != nil || n != 1 {
		t.Errorf("what was stored before: %d, %v", n, err)
	}
	got, err := outside.Jobs(job.Backup).Fetch(t.Context(), 1)
	if err != nil || got[0].Job.ID != "before" {
		t.Errorf("the job from before: %+v, %v", got, err)
	}
	for _, want := range []string{"the queue can store nothing", "the queue stores again"} {
		if n := strings.Count(said.String(), want); n != 2 {
			t.Errorf("%q is said %d times, not twice", want, n)
		}
	}
}

// fill takes all space of a file system until empty is called.
func fill(t *testing.T, dir string) (empty func()) {
	t.Helper()
	name := filepath.Join(dir, "other")
	f, err := os.Create(name)
	must(t, err)
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	_ = f.Close()
	return func() { must(t, os.Remove(name)) }
}
