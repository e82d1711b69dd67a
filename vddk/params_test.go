package vddk_test

import (
	"reflect"
	"strings"
	"testing"

	"ivdmover/vddk"
)

// Whatever parameters name, a disk of its own or a VM, by password or by login,
// arrives in the library's struct, and no secret comes back.
func TestParamsArrive(t *testing.T) {
	disk := &vddk.DiskSpec{ID: "6f9e", Datastore: "datastore-52", Snapshot: "snap-1"}
	live := &vddk.DiskSpec{ID: "6f9e", Datastore: "datastore-52"}
	for name, p := range map[string]vddk.Params{
		"disk by user":           {Server: "vc", Port: 8443, NFCPort: 9902, Thumbprint: "AA:BB", User: "u", Password: "secret", Disk: disk},
		"disk by login":          {Server: "vc", Thumbprint: "AA:BB", User: "u", Cookie: "secret", Disk: live},
		"disk by nameless login": {Server: "vc", Thumbprint: "AA:BB", Cookie: "secret", Disk: disk},
		"disk without password":  {Server: "vc", Thumbprint: "AA:BB", User: "u", Disk: live},
		"VM by user":             {Server: "vc", Port: 443, Thumbprint: "AA:BB", User: "u", Password: "secret", VM: "moref=vm-12"},
		"VM by login":            {Server: "vc", Thumbprint: "AA:BB", User: "u", Cookie: "secret", VM: "moref=vm-12"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := lib.Connect(t.Context(), p, true, "nbdssl")
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Params()
			if err := c.Disconnect(); err != nil {
				t.Error(err)
			}
			want := p
			want.Password, want.Cookie = "", ""
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%+v, %v; want %+v", got, err, want)
			}
			if strings.Contains(p.String(), "secret") {
				t.Error(p.String())
			}
		})
	}
}

// A VM's disk has a path; only one of its own may be opened without.
func TestPathOfVM(t *testing.T) {
	c, err := lib.Connect(t.Context(), vddk.Params{Server: "vc", User: "u", Password: "p", VM: "moref=vm-12"}, true, "nbdssl")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Disconnect()
	_, err = c.Open(t.Context(), "", vddk.ReadOnly)
	wantCode(t, err, 3, vddk.Misuse)
}

// The library finds a disk of its own by its parameters: the path may be the UUID,
// or NULL.
func TestOpenWithoutPath(t *testing.T) {
	p := startPort(t, content(1<<20, 3))
	buf := alloc(t, 4096)
	for _, path := range []string{"6f9e", "", "whatever"} {
		h := openDisk(t, p.params(), path, vddk.ReadOnly, "nbdssl")
		if err := h.Read(buf, 8); err != nil || string(buf) != string(content(1<<20, 3)[4096:8192]) {
			t.Errorf("path %q: %v", path, err)
		}
	}
}

// EndAccess undoes what a PrepareForAccess did before it failed, and comes with the
// same identity; one too long for the library is refused before anything happened.
func TestEndAccessAfterFailure(t *testing.T) {
	p := startPort(t, content(1<<20, 3))
	params := p.params()
	p.set(func() { p.fail[7] = 3014 })
	wantCode(t, lib.PrepareForAccess(t.Context(), params, "run 7"), 3014, vddk.Denied)
	if err := lib.EndAccess(t.Context(), params, "run 7"); err != nil {
		t.Fatal(err)
	}
	for _, identity := range []string{"", strings.Repeat("x", 51), "a\x00b"} {
		wantCode(t, lib.PrepareForAccess(t.Context(), params, identity), 3, vddk.Misuse)
		wantCode(t, lib.EndAccess(t.Context(), params, identity), 3, vddk.Misuse)
	}
	if err := lib.EndAccess(t.Context(), params, strings.Repeat("x", vddk.IdentityMax)); err != nil {
		t.Error(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if got := strings.Join(p.access, "; "); got != "end identity=run 7; end identity="+strings.Repeat("x", 50) {
		t.Errorf("the host saw %q", got)
	}
}
