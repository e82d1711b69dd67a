package vddk_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ivdmover/vddk"
)

// soon is how long the scene lets a call hang that never ends by itself.
const soon = 30 * time.Millisecond

// hangScene has every kind of call hang, and each time gives up what hangs. A
// neighbour reads all the while.
func hangScene() error {
	l, err := loadDummy()
	if err != nil {
		return err
	}
	c, neighbour, err := openPath(l, "/1")
	if err != nil {
		return err
	}
	stop := make(chan struct{})
	var reading sync.WaitGroup
	var readErr error
	var reads int
	reading.Go(func() {
		buf := vddk.Alloc(512)
		for ; readErr == nil; reads++ {
			select {
			case <-stop:
				return
			default:
				readErr = neighbour.Read(buf.Bytes(), 0)
			}
		}
	})
	lost := 0
	for _, step := range []struct {
		name string
		does func(*vddk.Library) (given int, err error)
	}{
		{"read", hangRead},
		{"completion", loseCompletion},
		{"open", hangOpen},
		{"close", hangClose},
		{"connect", hangConnect},
		{"disconnect", hangDisconnect},
		{"access", hangAccess},
	} {
		given, err := step.does(l)
		if err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		if lost += given; l.Abandoned() != lost {
			return fmt.Errorf("%s: %d are counted as given up, want %d", step.name, l.Abandoned(), lost)
		}
		if err := works(l); err != nil {
			return fmt.Errorf("after %s: %w", step.name, err)
		}
	}
	// Now the library comes back, with everything that nobody waits for any more.
	if err := os.WriteFile(os.Getenv("IVD_VDDK_TEST_RELEASE"), nil, 0o600); err != nil {
		return err
	}
	for range 20 {
		if err := works(l); err != nil {
			return fmt.Errorf("after the library came back: %w", err)
		}
		<-time.After(2 * time.Millisecond)
	}
	close(stop)
	reading.Wait()
	if readErr != nil || reads == 0 {
		return fmt.Errorf("the neighbour, after %d reads: %w", reads, readErr)
	}
	err = errors.Join(neighbour.Close(), c.Disconnect())
	l.Exit() // leaves the library alone: it would wait for what it lost
	return err
}

func openPath(l *vddk.Library, path string) (*vddk.Connection, *vddk.Handle, error) {
	c, err := l.Connect(context.Background(), vddk.Params{}, true, "")
	if err != nil {
		return nil, nil, err
	}
	h, err := c.Open(context.Background(), path, vddk.ReadOnly)
	return c, h, err
}

// works opens, reads and closes a disk on what is left.
func works(l *vddk.Library) error {
	c, h, err := openPath(l, "/2")
	if err != nil {
		return err
	}
	buf := vddk.Alloc(512)
	defer buf.Free()
	return errors.Join(h.Read(buf.Bytes(), 3), h.Close(), c.Disconnect())
}

// gaveUp checks an error, and that it came as soon as was asked.
func gaveUp(what string, err error) error {
	var e *vddk.Error
	if !errors.Is(err, vddk.ErrAbandoned) || !errors.As(err, &e) || e.Class != vddk.Transient || e.Op == "" {
		return fmt.Errorf("%s returned %w, which is not ErrAbandoned", what, err)
	}
	return nil
}

// hangRead: one read hangs, others wait behind it, and more than the library may be
// given at once wait for their turn.
func hangRead(l *vddk.Library) (int, error) {
	c, h, err := openPath(l, "/3")
	if err != nil {
		return 0, err
	}
	var group sync.WaitGroup
	errs := make([]error, 40)
	buffers := make([]*vddk.Buffer, len(errs))
	for i := range errs {
		buffers[i] = vddk.Alloc(4096)
		group.Go(func() { errs[i] = h.Read(buffers[i].Bytes(), 1019) })
	}
	timer := time.AfterFunc(soon, h.Abandon)
	defer timer.Stop()
	group.Wait()
	h.Abandon()
	for _, err := range errs {
		if err := gaveUp("a read", err); err != nil {
			return 0, err
		}
	}
	free := slices.DeleteFunc(slices.Clone(buffers), (*vddk.Buffer).Lost)
	buffers = slices.DeleteFunc(buffers, func(b *vddk.Buffer) bool { return !b.Lost() })
	if len(buffers) == 0 || len(free) < 8 {
		return 0, fmt.Errorf("%d buffers are lost, %d are not", len(buffers), len(free))
	}
	other, err := l.Connect(context.Background(), vddk.Params{}, true, "")
	if err != nil {
		return 0, err
	}
	second, err := other.Open(context.Background(), "/4", vddk.ReadOnly)
	if err != nil {
		return 0, err
	}
	buf := buffers[0].Bytes()
	if err := second.Read(buf, 0); err == nil || !strings.Contains(err.Error(), "the buffer is the library's") {
		return 0, fmt.Errorf("a lost buffer was taken: %w", err)
	}
	if err := second.Read(free[0].Bytes(), 0); err != nil {
		return 0, fmt.Errorf("the buffer of a read that was never begun: %w", err)
	}
	for _, b := range append(buffers, free...) {
		b.Free()
	}
	buf[0] = 1 // is still there: the library may write into it
	err = errors.Join(
		second.Close(), other.Disconnect(), h.Close(), h.Close(), c.Disconnect(), // all of which return
		gaveUp("a later read", h.Read(vddk.Alloc(512).Bytes(), 0)), gaveUp("a later flush", h.Flush()),
	)
	return 1, err
}

// loseCompletion: the library takes a read and never says that it ended, so that
// Close has something to wait for, for ever.
func loseCompletion(l *vddk.Library) (int, error) {
	c, h, err := openPath(l, "/5")
	if err != nil {
		return 0, err
	}
	var group sync.WaitGroup
	var readErr error
	group.Go(func() { readErr = h.Read(vddk.Alloc(512).Bytes(), 1018) })
	var flushErr error
	group.Go(func() { flushErr = h.Flush() })
	timer := time.AfterFunc(soon, h.Abandon)
	defer timer.Stop()
	group.Wait()
	if flushErr != nil { // it may have come before the read
		flushErr = gaveUp("the flush", flushErr)
	}
	return 1, errors.Join(gaveUp("the read", readErr), flushErr, h.Close(), c.Disconnect())
}

// hangOpen: others that come to the same thread meanwhile get through.
func hangOpen(l *vddk.Library) (int, error) {
	c, err := l.Connect(context.Background(), vddk.Params{}, true, "")
	if err != nil {
		return 0, err
	}
	var group sync.WaitGroup
	errs := make([]error, 5)
	for i := range errs[1:] {
		group.Go(func() {
			<-time.After(soon / 3)
			errs[1+i] = works1(l, fmt.Sprintf("/%d", 10+i))
		})
	}
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	_, errs[0] = c.Open(ctx, "/hang", vddk.ReadOnly)
	errs[0] = gaveUp("Open", errs[0])
	group.Wait()
	if _, err := c.Open(context.Background(), "/1", vddk.ReadOnly); err == nil {
		return 0, errors.New("a connection that was given up opens disks")
	}
	return 1, errors.Join(errors.Join(errs...), c.Disconnect())
}

func works1(l *vddk.Library, path string) error {
	c, h, err := openPath(l, path)
	if err != nil {
		return err
	}
	return errors.Join(h.Close(), c.Disconnect())
}

func hangClose(l *vddk.Library) (int, error) {
	c, h, err := openPath(l, "/9")
	if err != nil {
		return 0, err
	}
	timer := time.AfterFunc(soon, h.Abandon)
	defer timer.Stop()
	return 1, errors.Join(gaveUp("Close", h.Close()), h.Close(), c.Disconnect())
}

func hangConnect(l *vddk.Library) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	_, err := l.Connect(ctx, vddk.Params{Server: "hang", User: "u"}, true, "")
	if err := gaveUp("Connect", err); err != nil {
		return 0, err
	}
	// One that never reaches the library costs nothing.
	_, err = l.Connect(ctx, vddk.Params{}, true, "")
	if err == nil {
		return 0, errors.New("a connection was made after its deadline")
	}
	return 1, gaveUp("Connect", err)
}

func hangDisconnect(l *vddk.Library) (int, error) {
	c, err := l.Connect(context.Background(), vddk.Params{Server: "hang at the end", User: "u"}, true, "")
	if err != nil {
		return 0, err
	}
	timer := time.AfterFunc(soon, c.Abandon)
	defer timer.Stop()
	return 1, errors.Join(gaveUp("Disconnect", c.Disconnect()), c.Disconnect())
}

func hangAccess(l *vddk.Library) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	if err := gaveUp("PrepareForAccess", l.PrepareForAccess(ctx, vddk.Params{}, "hang")); err != nil {
		return 0, err
	}
	return 1, l.EndAccess(context.Background(), vddk.Params{}, "x")
}

// A library that does not come back is given up, call by call: nobody else waits
// for it, and what comes late harms nobody.
func hangs(t *testing.T) {
	release := filepath.Join(t.TempDir(), "release")
	out, err := play(t, "hang", dummy(t, "-DWITH_ACCESS"), "IVD_VDDK_TEST_RELEASE="+release,
		"ASAN_OPTIONS="+os.Getenv("ASAN_OPTIONS")+":detect_leaks=0") // what hangs is left behind on purpose
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(out, "shutting down VDDK failed") || strings.Contains(out, "dummy: Exit") {
		t.Errorf("Exit was called with handles open:\n%s", out)
	}
}
