package strict_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"ivdmover/deploy/lab"
	"ivdmover/deploy/lab/script"
	"ivdmover/shared/ivd"
	"ivdmover/vddk"
)

// A snapshot reads over hotadd and san as over the network, while guests write and
// younger snapshots come and go.
func TestSnapshotsAreReadDirectly(t *testing.T) {
	w := newWorld(t, 8*mib)
	w.proxy(2, "datastore1")
	now := make([]byte, 8*mib)
	w.guest(now, 0, 1, 2*mib+512)
	first, atFirst := w.snapshot(), bytes.Clone(now)
	w.guest(now, mib+512, 2, 3*mib)
	for _, mode := range []string{"hotadd", "san"} {
		h := mustOpen(t, w.at(first), vddk.ReadOnly, mode+":nbdssl")
		if h.Transport() != mode || h.Info().Capacity != 8*mib/512 || h.Info().UUID != string(w.disk.ID()) {
			t.Fatalf("%s, %+v", h.Transport(), h.Info())
		}
		compare(t, h, atFirst)
		second := w.snapshot()
		w.guest(now, 0, 3, 5*mib) // of blocks that no snapshot has, some have, both have
		compare(t, h, atFirst)
		must(t, w.vc.DeleteSnapshot(t.Context(), w.disk, second))
		w.guest(now, 4*mib, 4, 3*mib)
		compare(t, h, atFirst)
		allocated(t, w, first, h, atFirst)
		must(t, h.Close())
	}
}

// allocated compares with what the network says, which may be no more.
func allocated(t *testing.T, w *world, s ivd.SnapshotID, h *vddk.Handle, content []byte) {
	t.Helper()
	n := mustOpen(t, w.at(s), vddk.ReadOnly, "nbdssl")
	for _, chunk := range []uint64{128, 1024} {
		want, err := n.QueryAllocated(0, 8*mib/512, chunk)
		must(t, err)
		got, err := h.QueryAllocated(0, 8*mib/512, chunk)
		must(t, err)
		covered := make([]bool, 8*mib/512)
		for _, b := range got {
			for i := b.Offset; i < b.Offset+b.Length; i++ {
				covered[i] = true
			}
		}
		for i, yes := range covered {
			if !yes && !bytes.Equal(content[i*512:i*512+512], make([]byte, 512)) {
				t.Fatalf("sector %d is not allocated", i)
			}
		}
		if len(got) == 0 || len(got) != len(want) || got[0] != want[0] {
			t.Fatalf("%s says %v, nbdssl %v", h.Transport(), got, want)
		}
	}
	must(t, n.Close())
}

// A hot-added disk holds its slot and its snapshot until it is closed.
func TestHotAddHolds(t *testing.T) {
	w := newWorld(t, mib)
	s, other := w.snapshot(), w.snapshot()
	_, err := open(t, w.at(s), vddk.ReadOnly, "hotadd")
	wantCode(t, err, 16053) // nobody says that this machine is virtual
	w.proxy(0)
	_, err = open(t, w.at(s), vddk.ReadOnly, "hotadd")
	wantCode(t, err, 13) // it has no slot
	w.proxy(1)
	h := mustOpen(t, w.at(s), vddk.ReadOnly, "hotadd")
	if mark := filepath.Join(w.dir, "hotadd", self, "0"); !exists(mark) {
		t.Fatalf("%s is not there", mark)
	}
	_, err = open(t, w.at(other), vddk.ReadOnly, "hotadd")
	wantCode(t, err, 13)
	w.proxy(2)
	_, err = open(t, w.at(s), vddk.ReadOnly, "hotadd")
	wantCode(t, err, 13) // a second time
	mustOpen(t, w.at(other), vddk.ReadOnly, "hotadd")
	w.keeps(s)
	if n := len(w.lab.Report().Handles); n != 2 {
		t.Fatalf("%d handles are reported", n)
	}
	must(t, h.Close())
	must(t, w.vc.DeleteSnapshot(t.Context(), w.disk, s))
	_, err = open(t, w.at(s), vddk.ReadOnly, "hotadd")
	wantCode(t, err, 16008)
}

// The list is tried in its order; a name that nobody knows is refused at once.
func TestTransportsInOrder(t *testing.T) {
	w := newWorld(t, mib)
	s := w.snapshot()
	for _, c := range []struct {
		slots       int
		luns        []string
		modes, want string
	}{
		{0, nil, "san:hotadd:nbdssl:nbd", "nbdssl"},
		{1, nil, "san:hotadd:nbdssl", "hotadd"},
		{1, []string{"datastore2"}, "san:hotadd:nbdssl", "hotadd"},
		{1, []string{"datastore1"}, "san:hotadd:nbdssl", "san"},
		{1, []string{"datastore1"}, "nbd:hotadd:san", "nbd"},
		{1, []string{"datastore1"}, "pigeon:HotAdd", "hotadd"},
		{1, []string{"datastore1"}, "", "san"},
	} {
		w.proxy(c.slots, c.luns...)
		h := mustOpen(t, w.at(s), vddk.ReadOnly, c.modes)
		if h.Transport() != c.want {
			t.Errorf("%+v: %s", c, h.Transport())
		}
		must(t, h.Close())
	}
	_, err := open(t, w.at(s), vddk.ReadOnly, "pigeon")
	wantCode(t, err, 6)
	_, err = open(t, w.at(s), vddk.ReadOnly, "file")
	wantCode(t, err, 16053)
	w.proxy(0)
	_, err = open(t, w.at(s), vddk.ReadOnly, "san:hotadd")
	wantCode(t, err, 13)
}

// A restore over hotadd leaves snapshots as they were, and its changes are known.
func TestHotAddWrites(t *testing.T) {
	w := newWorld(t, 4*mib)
	w.proxy(1)
	must(t, w.vc.EnableCBT(t.Context(), w.disk))
	now := make([]byte, 4*mib)
	w.guest(now, 0, 1, mib)
	first, atFirst := w.snapshot(), bytes.Clone(now)
	since, err := w.vc.ChangeID(t.Context(), w.disk, first)
	must(t, err)

	h := mustOpen(t, w.at(""), vddk.Unbuffered, "hotadd")
	part := bytes.Repeat([]byte("restored"), 20000/8*8)[:96<<10]
	must(t, write(t, h, part, mib-32<<10))
	copy(now[mib-32<<10:], part)
	must(t, h.Flush())
	compare(t, h, now)
	_, err = open(t, w.at(""), 0, "nbdssl")
	wantCode(t, err, 15) // the device is the only writer
	must(t, h.Close())
	if _, err = lab.Write(t.Context(), w.dir, w.disk.ID(), 0, bytes.NewReader([]byte{1})); err != nil {
		t.Fatal(err)
	}
	now[0] = 1

	second := w.snapshot()
	areas, err := w.vc.ChangedAreas(t.Context(), w.disk, second, since, 4*mib)
	must(t, err)
	want := []ivd.Extent{{Offset: 0, Length: 64 << 10}, {Offset: mib - 64<<10, Length: 128 << 10}}
	if len(areas) != 2 || areas[0] != want[0] || areas[1] != want[1] {
		t.Errorf("changed: %v, want %v", areas, want)
	}
	compare(t, mustOpen(t, w.at(first), vddk.ReadOnly, "nbdssl"), atFirst)
	compare(t, mustOpen(t, w.at(second), vddk.ReadOnly, "nbdssl"), now)
	_, err = open(t, w.at(first), vddk.Unbuffered, "hotadd")
	wantCode(t, err, 11)
}

// Over hotadd, writes are unbuffered: VDDK 6.7 and newer demand it.
func TestBufferedHotAddIsReported(t *testing.T) {
	w := newWorld(t, mib)
	w.failed = true
	w.proxy(1)
	mustOpen(t, w.at(""), 0, "hotadd")
	if w.rules() != "hotadd-unbuffered" {
		t.Fatalf("misuses %q", w.rules())
	}
}

// SAN writes thick disks that have a snapshot and no tracking.
func TestSANWrites(t *testing.T) {
	w := newWorld(t, mib)
	w.proxy(0, "datastore1")
	_, err := open(t, w.at(""), 0, "san")
	wantCode(t, err, 6) // no snapshot
	w.snapshot()
	_, err = open(t, w.at(""), 0, "san")
	wantCode(t, err, 6) // thin
	if h := mustOpen(t, w.at(""), 0, "san:nbdssl"); h.Transport() != "nbdssl" {
		t.Fatal(h.Transport())
	}

	w.disk = w.thick("thick", "")
	_, err = open(t, w.at(""), 0, "san")
	wantCode(t, err, 6) // no snapshot
	before, now := make([]byte, mib), make([]byte, mib)
	first := w.snapshot()
	h := mustOpen(t, w.at(""), 0, "san")
	copy(now[100<<10:], bytes.Repeat([]byte("san"), 8<<10))
	must(t, write(t, h, now[96<<10:128<<10], 96<<10))
	_, err = open(t, w.at(""), vddk.ReadOnly, "san")
	wantCode(t, err, 15)
	compare(t, h, now)
	compare(t, mustOpen(t, w.at(first), vddk.ReadOnly, "san"), before)
	must(t, h.Close())
	must(t, w.vc.EnableCBT(t.Context(), w.disk))
	_, err = open(t, w.at(""), 0, "san")
	wantCode(t, err, 6) // its changes are tracked
}

// An encrypted disk goes over the network, and to a proxy that is encrypted too.
func TestEncryptedDisks(t *testing.T) {
	w := newWorld(t, mib)
	w.disk = w.thick("secret", "key-1")
	s := w.snapshot()
	w.proxy(1, "datastore1")
	_, err := open(t, w.at(s), vddk.ReadOnly, "san")
	wantCode(t, err, 6)
	_, err = open(t, w.at(s), vddk.ReadOnly, "hotadd")
	wantCode(t, err, 13)
	if h := mustOpen(t, w.at(s), vddk.ReadOnly, "san:hotadd:nbdssl"); h.Transport() != "nbdssl" {
		t.Fatal(h.Transport())
	}
	must(t, script.WriteHosts(w.dir, script.Hosts{
		Proxies: []script.Proxy{{BIOSUUID: self, VM: "lab-vm-3", FreeSlots: 1, Encrypted: true}},
	}))
	mustOpen(t, w.at(s), vddk.ReadOnly, "hotadd")
}

// A proxy never hot-adds what it has as a disk of its own.
func TestOwnDisk(t *testing.T) {
	w := newWorld(t, mib)
	w.attach(2)
	s := w.snapshot()
	w.proxy(1)
	_, err := open(t, w.at(s), vddk.ReadOnly, "hotadd")
	wantCode(t, err, 13)
}

// What a killed process has attached stays, and Cleanup takes it away.
func TestCleanup(t *testing.T) {
	w := newWorld(t, mib)
	w.proxy(2)
	s := w.snapshot()
	scene := again("attach", t.TempDir())
	text := lines(w.login.Server, w.login.Port, w.login.Thumbprint, w.login.User, w.login.Cookie, w.disk.ID(), w.disk.Datastore(), s)
	scene.Env = append(scene.Env, "IVD_STRICT_PARAMS="+text, "IVD_STRICT_CONFIG=tmpDirectory="+os.Getenv(folder)+"\n")
	out, err := scene.CombinedOutput()
	if err == nil || scene.ProcessState.ExitCode() != -1 {
		t.Fatalf("the scene ended with %v\n%s", err, out)
	}
	w.keeps(s)
	_, err = open(t, w.at(s), vddk.ReadOnly, "hotadd")
	wantCode(t, err, 13)
	living := mustOpen(t, w.at(w.snapshot()), vddk.ReadOnly, "hotadd")
	for _, want := range []int{1, 0} {
		cleaned, remaining, err := lib.Cleanup(t.Context(), w.at(""))
		if cleaned != want || remaining != 0 || err != nil {
			t.Fatalf("cleanup: %d, %d, %v", cleaned, remaining, err)
		}
	}
	must(t, errors.Join(living.Close(), w.vc.DeleteSnapshot(t.Context(), w.disk, s)))
}
