package vddk_test

import (
	"bytes"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"ivdmover/vddk"
)

func (p *port) params() vddk.Params {
	return vddk.Params{
		Server: "127.0.0.1", Port: portOf(p.https), Thumbprint: p.thumbprint,
		User: "Administrator@vsphere.local", Password: "se cret&=%+ü",
		Disk: &vddk.DiskSpec{ID: "6f9e", Datastore: "datastore-52", Snapshot: "snap-1"},
	}
}

func content(n int, seed uint64) []byte {
	c := make([]byte, n)
	for i := range c {
		c[i] = byte(uint64(i)*seed>>7) | 1
	}
	return c
}

// The disk is found by (id, datastore, snapshot), and 16 requests at once, each
// cut into pieces that are answered in any order, come back right.
func TestRemoteRequests(t *testing.T) {
	disk := content(16<<20+512, 77)
	p := startPort(t, bytes.Clone(disk))
	for _, mode := range []string{"nbdssl", "nbd"} {
		h := openDisk(t, p.params(), "6f9e", 0, "hotadd:"+mode+":file")
		if h.Transport() != mode {
			t.Errorf("asked for %s, got %s", mode, h.Transport())
		}
		want := vddk.Info{Capacity: 16<<11 + 1, UUID: "6f 9e", LinkCount: 2, AdapterType: 1, LogicalSectorSize: 512, PhysicalSectorSize: 512}
		if h.Info() != want {
			t.Errorf("got %+v, want %+v", h.Info(), want)
		}
		concurrently(t, h, disk)
		if err := h.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !bytes.Equal(p.disk, disk) {
		t.Error("the disk is not what was written")
	}
	if p.shuffled == 0 {
		t.Error("no two requests were under way at once")
	}
	form := map[string]string{
		"user": "Administrator@vsphere.local", "password": "se cret&=%+ü", "id": "6f9e", "datastore": "datastore-52",
		"snapshot": "snap-1", "mode": "nbdssl", "write": "1", "op": "open",
	}
	if !reflect.DeepEqual(p.forms[0], form) {
		t.Errorf("asked for a ticket with %v", p.forms[0])
	}
}

func TestCookie(t *testing.T) {
	p := startPort(t, content(1<<20, 3))
	params := p.params()
	params.User, params.Password, params.Cookie = "", "", "live"
	params.Disk.Snapshot = ""
	openDisk(t, params, "6f9e", vddk.ReadOnly, "nbdssl")
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := p.forms[0]; f["cookie"] != "live" || f["write"] != "0" || f["snapshot"] != "" {
		t.Errorf("asked for a ticket with %v", f)
	}
}

func TestOpenRefused(t *testing.T) {
	p := startPort(t, content(1<<20, 3))
	open := func(params vddk.Params) error {
		t.Helper()
		c, err := lib.Connect(t.Context(), params, true, "")
		if err != nil {
			return err
		}
		_, err = c.Open(t.Context(), "6f9e", vddk.ReadOnly)
		if err := c.Disconnect(); err != nil {
			t.Error(err)
		}
		return err
	}
	wrong := p.params()
	wrong.Password = "guess"
	if e := wantCode(t, open(wrong), 3014, vddk.Denied); e.Remedy == "" || !strings.Contains(e.Error(), "wrong user or password") {
		t.Errorf("%v; %s", e, e.Remedy)
	}
	if strings.Contains(open(wrong).Error(), "guess") {
		t.Error("the password is in the error")
	}

	for _, given := range []string{"", strings.Repeat("AA:", 19) + "AA"} {
		wrong = p.params()
		wrong.Thumbprint = given
		if e := wantCode(t, open(wrong), 1, vddk.Generic); !strings.Contains(e.Detail, p.thumbprint) || !strings.Contains(e.Detail, given) {
			t.Errorf("%v does not name both thumbprints", e)
		}
	}
	if !lines.contains(slog.LevelWarn, p.thumbprint) {
		t.Error("the right thumbprint is not in the log")
	}

	wrong = p.params()
	wrong.Port, wrong.NFCPort = p.params().Port, 1
	wantCode(t, open(wrong), 14009, vddk.Transient)
	wrong = p.params()
	wrong.Server = "name.invalid"
	wantCode(t, open(wrong), 14008, vddk.Transient)
	wrong = p.params()
	wrong.Disk = &vddk.DiskSpec{ID: "6f9e"}
	wantCode(t, open(wrong), 3, vddk.Misuse)

	p.set(func() { p.fail[1] = 15 })
	if e := wantCode(t, open(p.params()), 15, vddk.Locked); !strings.Contains(e.Error(), "as the test wants it") {
		t.Errorf("%v does not say what the host said", e)
	}
}

// A host that goes away ends every request with an error that is transient, and
// the handle can still be closed.
func TestConnectionLost(t *testing.T) {
	p := startPort(t, content(4<<20, 3))
	p.set(func() { p.cut = 5 })
	h := openDisk(t, p.params(), "6f9e", vddk.ReadOnly, "nbdssl")
	failed := make(chan error, 8)
	for i := range uint64(8) {
		buf := alloc(t, 512<<10)
		go func() { failed <- h.Read(buf, i*1024) }()
	}
	for range 8 {
		wantCode(t, <-failed, 14011, vddk.Transient)
	}
	wantCode(t, h.Read(alloc(t, 512), 0), 14011, vddk.Transient)
}

func TestHostRefusesRead(t *testing.T) {
	p := startPort(t, content(4<<20, 3))
	p.set(func() { p.fail[2] = 14014 })
	h := openDisk(t, p.params(), "6f9e", vddk.ReadOnly, "nbdssl")
	e := wantCode(t, h.Read(alloc(t, 1<<20), 0), 14014, vddk.Transient)
	if !strings.Contains(e.Error(), "as the test wants it") {
		t.Errorf("%v does not say what the host said", e)
	}
	p.set(func() { p.fail[2] = 0 })
	if err := h.Read(alloc(t, 1<<20), 0); err != nil {
		t.Errorf("the next read: %v", err)
	}
}

func TestAccess(t *testing.T) {
	p := startPort(t, content(1<<20, 3))
	params := p.params()
	params.Disk.Snapshot = ""
	if err := lib.PrepareForAccess(t.Context(), params, "ivdmover run 7"); err != nil {
		t.Fatal(err)
	}
	if err := lib.EndAccess(t.Context(), params, "ivdmover run 7"); err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	if got := strings.Join(p.access, "; "); got != "prepare identity=ivdmover run 7; end identity=ivdmover run 7" {
		t.Errorf("the host saw %q", got)
	}
	p.fail[7] = 3014
	p.mu.Unlock()
	wantCode(t, lib.PrepareForAccess(t.Context(), params, "ivdmover run 7"), 3014, vddk.Denied)
	wantCode(t, lib.PrepareForAccess(t.Context(), params, strings.Repeat("x", 51)), 3, vddk.Misuse)
	if cleaned, remaining, err := lib.Cleanup(t.Context(), params); cleaned != 0 || remaining != 0 || err != nil {
		t.Errorf("cleanup: %d, %d, %v", cleaned, remaining, err)
	}
}
