package disk

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ivdmover/deploy/lab/script"
	"ivdmover/mover/disk/disktest"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/vddk"
)

// hotAdding is a laboratory whose disk may be hot-added here, and a function that
// makes a host as the next process would.
func hotAdding(t *testing.T) (s Spec, next func() *Host, dir string) {
	t.Helper()
	dir = t.TempDir()
	refs, _, cookie, v := labDisks(t, startLab(t, dir, 1))
	snapshot, err := v.CreateSnapshot(t.Context(), refs[0], "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := script.WriteHosts(dir, script.Hosts{Proxies: []script.Proxy{{BIOSUUID: disktest.Proxy, VM: "lab-vm-1", FreeSlots: 1}}}); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	next = func() *Host {
		return quick(t, Options{Transports: []string{"hotadd", "nbdssl"}, Machine: ThisMachine(disktest.Proxy, []string{}), Folder: folder})
	}
	return Spec{Run: "run-1", Disk: job.IVD(refs[0]), Snapshot: snapshot, Login: cookie}, next, dir
}

// What is attached is known to the next process, from before it is attached until it
// is released.
func TestTheNextProcessKnowsWhatIsAttached(t *testing.T) {
	s, next, dir := hotAdding(t)
	want := []Attachment{{Run: s.Run, Disk: s.Disk}}
	d, err := next().Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if got := next().Left(); !slices.Equal(got, want) {
		t.Errorf("while it is open: %+v", got)
	}
	if err := d.Close(); err != nil || len(next().Left()) != 0 {
		t.Errorf("closed: %v, left %+v", err, next().Left())
	}

	// A disk that another transport serves is none of it, nor one that was refused.
	faults(t, dir, script.Fault{Call: "Open", Mode: "hotadd", Do: script.Code(13), Times: script.Always})
	if d, err = next().Open(t.Context(), s); err != nil || d.Transport() != "nbdssl" || len(next().Left()) != 0 {
		t.Fatalf("%v, left %+v", err, next().Left())
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}

	// One whose closing hangs stays known until Cleanup has looked.
	faults(t, dir, script.Fault{Call: "Close", Do: script.Hang})
	h := next()
	h.limits.close = 300 * time.Millisecond
	if d, err = h.Open(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); !abandoned(err) {
		t.Errorf("a close that hangs: %v", err)
	}
	faults(t, dir)
	h = next()
	if got := h.Left(); !slices.Equal(got, want) {
		t.Fatalf("after a close that hung: %+v", got)
	}
	if !h.Release(t.Context(), want[0], s.Login) || len(h.Left()) != 0 || len(next().Left()) != 0 {
		t.Errorf("released, left %+v", h.Left())
	}
}

// While a disk is attached nothing is released, and the disk's own way to its end is
// open.
func TestNothingIsReleasedWhileADiskIsAttached(t *testing.T) {
	s, next, _ := hotAdding(t)
	h := next()
	d, err := h.Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	h.cleaned = map[string]bool{}
	h.mu.Unlock()
	a := Attachment{Run: s.Run, Disk: s.Disk}
	if h.Release(t.Context(), a, s.Login) || len(h.Left()) != 1 {
		t.Errorf("left %+v", h.Left())
	}
	if err := d.Close(); err != nil || !h.Release(t.Context(), a, s.Login) {
		t.Errorf("after its end: %v", err)
	}
}

func TestWhatIsLeftIsAHint(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "hotadd.json")
	for text, warns := range map[string]bool{
		"not JSON":                  true,
		`{"version":2,"disks":[7]}`: true,
		`{"version":2,"disks":[]}`:  false,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		h := quick(t, Options{Transports: []string{"nbdssl"}, Folder: folder, Log: slog.New(slog.NewTextHandler(&log, nil))})
		if len(h.Left()) != 0 || strings.Contains(log.String(), "level=WARN") != warns {
			t.Errorf("%s: left %+v, said %q", text, h.Left(), log.String())
		}
	}
	a, b := Attachment{"r", job.IVD(ivd.NewDiskRef("a", "", "1")), "w"}, Attachment{"r", job.IVD(ivd.NewDiskRef("b", "", "2")), "x"}
	l, err := openLeft(filepath.Join(folder, "none"))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.add(a); err == nil {
		t.Error("what cannot be written is not said")
	}
	l = &left{}
	if err := errors.Join(l.add(a), l.add(b), l.add(a), l.remove(a), l.forget("b"), l.forget("b"), l.remove(b)); err != nil || !slices.Equal(l.all(), []Attachment{a}) {
		t.Errorf("%v, left %+v", err, l.all())
	}
}

// While a disk is being attached, which may hang, nobody waits to look for what was left:
// others are opened meanwhile.
func TestCleanupDoesNotWaitForAnAttachment(t *testing.T) {
	h, _ := fake(t, []string{"hotadd"}, Machine{VM: true}, nil)
	_, err := h.attaching(Attachment{}, func() (*Disk, error) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			h.cleanUp(t.Context(), job.Disk{}, job.Login{Server: "other"})
		}()
		select {
		case <-done:
		case <-time.After(time.Minute):
			t.Error("it waits")
		}
		if !h.dirty("other") {
			t.Error("it counts as done")
		}
		return nil, vddk.ErrAbandoned
	})
	if !errors.Is(err, vddk.ErrAbandoned) {
		t.Error(err)
	}
}
