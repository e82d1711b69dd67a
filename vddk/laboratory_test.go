package vddk_test

import (
	"bytes"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"ivdmover/coordinator/inventory"
	"ivdmover/deploy/lab"
	"ivdmover/shared/ivd"
	"ivdmover/vddk"
)

// laboratory is a vCenter with one IVD, and a login to it as a mover gets one.
type laboratory struct {
	vc     *inventory.VCenter
	disk   ivd.DiskRef
	params vddk.Params
	ready  lab.Ready
}

func startLaboratory(t *testing.T, mib int64) *laboratory {
	t.Helper()
	l, err := lab.Start(t.Context(), lab.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	r := l.Ready()
	vc, err := inventory.Connect(t.Context(), inventory.Config{
		Name: "lab", URL: r.URL, Username: r.Username, Password: ivd.Secret(r.Password), Thumbprint: r.Thumbprint,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = vc.Close() })
	store, err := vc.Datastore(t.Context(), "datastore1")
	if err != nil {
		t.Fatal(err)
	}
	disk, err := vc.CreateDisk(t.Context(), store.ID, "one", mib)
	if err != nil {
		t.Fatal(err)
	}
	login, err := vc.Login(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &laboratory{vc: vc, disk: disk, ready: r, params: vddk.Params{
		Server: login.Server, Port: uint32(login.Port), NFCPort: uint32(login.NFCPort), Thumbprint: login.Thumbprint,
		User: login.User, Cookie: login.Cookie.Reveal(),
		Disk: &vddk.DiskSpec{ID: string(disk.ID()), Datastore: string(disk.Datastore())},
	}}
}

// at is the disk at a snapshot.
func (l *laboratory) at(snapshot ivd.SnapshotID) vddk.Params {
	p := l.params
	spec := *p.Disk
	spec.Snapshot = string(snapshot)
	p.Disk = &spec
	return p
}

func tryOpen(t *testing.T, p vddk.Params, flags vddk.OpenFlags) error {
	t.Helper()
	c, err := lib.Connect(t.Context(), p, flags&vddk.ReadOnly != 0, "nbdssl")
	if err != nil {
		return err
	}
	h, err := c.Open(t.Context(), p.Disk.ID, flags)
	if err == nil {
		err = h.Close()
	}
	if err := c.Disconnect(); err != nil {
		t.Error(err)
	}
	return err
}

// A disk of the laboratory is written, snapshotted, written again: the snapshot
// reads as it was, the disk as it is, and what is not allocated is zero.
func TestLaboratoryDisk(t *testing.T) {
	l := startLaboratory(t, 24)
	want := make([]byte, 24<<20)
	h := openDisk(t, l.params, string(l.disk.ID()), 0, "san:hotadd:nbdssl")
	if info := h.Info(); info.Capacity != 24<<11 || info.UUID != string(l.disk.ID()) || h.Transport() != "nbdssl" {
		t.Errorf("%s, %+v", h.Transport(), info)
	}
	concurrently(t, h, want[:16<<20])
	if err := h.Flush(); err != nil {
		t.Fatal(err)
	}
	before := bytes.Clone(want)
	snapshot, err := l.vc.CreateSnapshot(t.Context(), l.disk, "test")
	if err != nil {
		t.Fatal(err)
	}
	fill(rand.New(rand.NewPCG(1, 1)), want[8<<20:20<<20])
	buf := alloc(t, 12<<20)
	copy(buf, want[8<<20:])
	if err := h.Write(buf, 8<<11); err != nil {
		t.Fatal(err)
	}
	compare(t, h, want)
	old := openDisk(t, l.at(snapshot), string(l.disk.ID()), vddk.ReadOnly|vddk.SkipZ, "nbdssl")
	compare(t, old, before)
	checkAllocated(t, "nbdssl", old, before, vddk.MinChunk)
	checkAllocated(t, "nbdssl", h, want, 512)
	blocks, err := old.QueryAllocated(0, 24<<11, vddk.MinChunk)
	if err != nil || len(blocks) == 0 || blocks[len(blocks)-1].Offset+blocks[len(blocks)-1].Length > 16<<11 {
		t.Errorf("the snapshot's allocated blocks are %v, %v", blocks, err)
	}
}

// compare reads the whole disk in large requests.
func compare(t *testing.T, h *vddk.Handle, want []byte) {
	t.Helper()
	buf := alloc(t, 4<<20)
	for at := 0; at < len(want); at += len(buf) {
		part := buf[:min(len(buf), len(want)-at)]
		if err := h.Read(part, uint64(at/512)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(part, want[at:at+len(part)]) {
			t.Fatalf("the disk differs within the %d bytes at %d", len(part), at)
		}
	}
}

func TestLaboratoryRefuses(t *testing.T) {
	l := startLaboratory(t, 1)
	snapshot, err := l.vc.CreateSnapshot(t.Context(), l.disk, "test")
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, tryOpen(t, l.at(snapshot), 0), 11, vddk.Denied)
	wantCode(t, tryOpen(t, l.at("0badc0de-0000-4000-8000-000000000000"), vddk.ReadOnly), 16008, vddk.Gone)

	other, err := l.vc.CreateDisk(t.Context(), l.disk.Datastore(), "other", 1)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := l.vc.CreateSnapshot(t.Context(), other, "test")
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, tryOpen(t, l.at(theirs), vddk.ReadOnly), 16008, vddk.Gone)

	p := l.at(snapshot)
	p.Disk.ID = "0badc0de-0000-4000-8000-000000000000"
	wantCode(t, tryOpen(t, p, vddk.ReadOnly), 4, vddk.Gone)
	p = l.at(snapshot)
	p.Disk.Datastore = "datastore-404"
	wantCode(t, tryOpen(t, p, vddk.ReadOnly), 16000, vddk.Gone)
	p = l.at(snapshot)
	p.Cookie = "stale"
	wantCode(t, tryOpen(t, p, vddk.ReadOnly), 3046, vddk.LoginExpired)
	p.Cookie, p.Password = "", "wrong"
	wantCode(t, tryOpen(t, p, vddk.ReadOnly), 3014, vddk.Denied)
	p.Password = l.ready.Password
	if err := tryOpen(t, p, vddk.ReadOnly); err != nil {
		t.Errorf("with the password: %v", err)
	}
	p.Thumbprint = strings.Repeat("00:", 19) + "00"
	if e := wantCode(t, tryOpen(t, p, vddk.ReadOnly), 1, vddk.Generic); !strings.Contains(e.Detail, l.ready.Thumbprint) {
		t.Errorf("%v does not show the right thumbprint", e)
	}
}

func TestLaboratoryAccess(t *testing.T) {
	l := startLaboratory(t, 1)
	u, err := url.Parse(l.ready.URL)
	if err != nil || strconv.Itoa(int(l.params.Port)) != u.Port() {
		t.Fatalf("port %d of %s", l.params.Port, l.ready.URL)
	}
	if err := lib.PrepareForAccess(t.Context(), l.params, "run-1"); err != nil {
		t.Error(err)
	}
	for range 2 { // EndAccess comes after crashes as well, when nothing is left to end
		if err := lib.EndAccess(t.Context(), l.params, "run-1"); err != nil {
			t.Error(err)
		}
	}
	p := l.at("")
	p.Cookie = "stale"
	wantCode(t, lib.PrepareForAccess(t.Context(), p, "run-1"), 3046, vddk.LoginExpired)
}
