package disk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"ivdmover/deploy/lab/disk"
	"ivdmover/shared/ivd"
	"ivdmover/shared/soak"
)

// used is the bytes of all files below a folder that the file system has given out.
func used(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Mode().IsRegular() {
			n += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func newDisk(t *testing.T, capacity int64) *disk.Disk {
	t.Helper()
	path := filepath.Join(t.TempDir(), "d.vmdk")
	if err := disk.Create(path, capacity); err != nil {
		t.Fatal(err)
	}
	d, err := disk.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestASnapshotCopiesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "d.vmdk")
	if err := disk.Create(path, 64<<20); err != nil {
		t.Fatal(err)
	}
	d, err := disk.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	if err := d.WriteAt(bytes.Repeat([]byte{1}, 32<<20), 0); err != nil {
		t.Fatal(err)
	}
	before := used(t, dir)
	for _, id := range []string{"a", "b", "c"} {
		if err := d.Snapshot(id); err != nil {
			t.Fatal(err)
		}
	}
	if grown := used(t, dir) - before; grown > 64<<10 {
		t.Fatalf("three snapshots took %d bytes", grown)
	}
	if err := d.WriteAt([]byte{2}, 5<<20); err != nil {
		t.Fatal(err)
	}
	if grown := used(t, dir) - before; grown < disk.BlockSize || grown > 4*disk.BlockSize {
		t.Fatalf("a byte written took %d bytes", grown)
	}
}

// TestATwoTebibyteDisk is about time: what depends on the capacity would take
// minutes here.
func TestATwoTebibyteDisk(t *testing.T) {
	start := time.Now()
	const capacity = 2 << 40
	path := filepath.Join(t.TempDir(), "huge.vmdk")
	flat := filepath.Join(filepath.Dir(path), "huge-flat.vmdk")
	if err := errors.Join(os.WriteFile(flat, nil, 0o600), os.Truncate(flat, capacity), disk.Register(path)); err != nil {
		t.Fatal(err)
	}
	d, err := disk.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	write := func(at int64) {
		if err := d.WriteAt([]byte("data"), at); err != nil {
			t.Fatal(err)
		}
	}
	write(1 << 40)
	if err := errors.Join(d.TrackChanges(true), d.Snapshot("a")); err != nil {
		t.Fatal(err)
	}
	write(0)
	write(capacity - 4)
	if err := errors.Join(d.Snapshot("b"), d.Snapshot("c")); err != nil {
		t.Fatal(err)
	}
	write(1 << 40)
	all, err := d.Changed("b", disk.Everything, 0, 10)
	if err != nil || len(all.Extents) != 3 || all.End != capacity {
		t.Fatalf("in use: %+v, %v", all, err)
	}
	changed, err := d.Changed("b", changeID(d, "a"), 0, 10)
	want := []ivd.Extent{{Offset: 0, Length: disk.BlockSize}, {Offset: capacity - disk.BlockSize, Length: disk.BlockSize}}
	if err != nil || len(changed.Extents) != 2 || changed.Extents[0] != want[0] || changed.Extents[1] != want[1] {
		t.Fatalf("changed: %+v, %v", changed, err)
	}
	for _, id := range []string{"c", "b"} {
		if err := d.DeleteSnapshot(context.Background(), id); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Revert("a"); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Fatalf("took %v", took)
	}
}

// TestReadersTakeNoLock reads a snapshot while a guest overwrites everything, and
// while the older snapshot is deleted.
func TestReadersTakeNoLock(t *testing.T) {
	d := newDisk(t, 32*disk.BlockSize+512)
	size := int(d.Capacity())
	fill := func(b byte) []byte { return bytes.Repeat([]byte{b}, size) }
	if err := d.WriteAt(fill(0), 0); err != nil {
		t.Fatal(err)
	}
	for i := range soak.Times(10) {
		id, older := fmt.Sprint(i), fmt.Sprint(i-1)
		if err := d.Snapshot(id); err != nil {
			t.Fatal(err)
		}
		stop := make(chan struct{})
		var readers sync.WaitGroup
		for range 2 {
			readers.Go(func() { reread(t, d, id, fill(byte(i)), stop) })
		}
		if err := d.WriteAt(fill(byte(i+1)), 0); err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			if err := d.DeleteSnapshot(context.Background(), older); err != nil {
				t.Fatal(err)
			}
		}
		close(stop)
		readers.Wait()
	}
}

func reread(t *testing.T, d *disk.Disk, id string, want []byte, stop <-chan struct{}) {
	p := make([]byte, len(want))
	for {
		if err := d.ReadAt(id, p, 0); err != nil || !bytes.Equal(p, want) {
			t.Errorf("snapshot %s changed: %v", id, err)
			return
		}
		select {
		case <-stop:
			return
		default:
		}
	}
}

func TestWhatWasNotAllocatedStaysSo(t *testing.T) {
	d := newDisk(t, 8*disk.BlockSize)
	if err := errors.Join(d.WriteAt([]byte{1}, 0), d.Snapshot("a"), d.WriteAt([]byte{1}, 5*disk.BlockSize), d.WriteAt([]byte{1}, 0)); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]int{"a": 1, "": 2} {
		a, err := d.Allocated(id, 0, d.Capacity(), 10)
		if err != nil || len(a.Extents) != want {
			t.Errorf("%q: %+v, %v", id, a, err)
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "d.vmdk")
	for _, capacity := range []int64{0, -512, 100, 1 << 60} {
		if err := disk.Create(path, capacity); ivd.KindOf(err) != ivd.Invalid {
			t.Errorf("capacity %d: %v", capacity, err)
		}
	}
	if err := disk.Create(path, 512); err != nil {
		t.Fatal(err)
	}
	if err := disk.Create(path, 512); ivd.KindOf(err) != ivd.Exists {
		t.Errorf("a second disk of the same name: %v", err)
	}
	if err := disk.Register(filepath.Join(dir, "absent.vmdk")); ivd.KindOf(err) != ivd.NotFound {
		t.Errorf("an absent image: %v", err)
	}
	if err := disk.Register(filepath.Join(dir, "d-flat.vmdk")); ivd.KindOf(err) != ivd.Invalid {
		t.Errorf("an image instead of its descriptor: %v", err)
	}
	if _, err := disk.Open(filepath.Join(dir, "absent.vmdk")); ivd.KindOf(err) != ivd.NotFound {
		t.Errorf("an absent disk: %v", err)
	}
	d, err := disk.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	for _, id := range []string{"", "../x", "a b", "-a"} {
		if err := d.Snapshot(id); ivd.KindOf(err) != ivd.Invalid {
			t.Errorf("snapshot %q: %v", id, err)
		}
	}
	if err := errors.Join(d.Snapshot("a")); err != nil {
		t.Fatal(err)
	}
	if err := d.Snapshot("a"); ivd.KindOf(err) != ivd.Exists {
		t.Errorf("a snapshot twice: %v", err)
	}
	if err := d.Extend(1024); ivd.KindOf(err) != ivd.Conflict {
		t.Errorf("extended with a snapshot: %v", err)
	}
	if _, err := d.Changed("a", disk.Everything, 0, 1); !errors.Is(err, disk.ErrUntracked) {
		t.Errorf("changes without tracking: %v", err)
	}
}

func TestTrackingThatIsTurnedOffIsANewSeries(t *testing.T) {
	d := newDisk(t, 4*disk.BlockSize)
	step := func(errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	step(d.TrackChanges(true), d.Snapshot("a"), d.WriteAt([]byte{1}, 0), d.Snapshot("b"))
	first := changeID(d, "a")
	if _, err := d.Changed("b", first, 0, 1); err != nil {
		t.Fatal(err)
	}
	step(d.TrackChanges(false), d.Snapshot("off"), d.TrackChanges(true), d.Snapshot("c"))
	if changeID(d, "off") != "" {
		t.Fatal("a change id without tracking")
	}
	if _, err := d.Changed("b", first, 0, 1); !errors.Is(err, disk.ErrChangeID) {
		t.Fatalf("the changes of the first series: %v", err)
	}
	if _, err := d.Changed("c", first, 0, 1); !errors.Is(err, disk.ErrChangeID) {
		t.Fatalf("from one series to the other: %v", err)
	}
}
