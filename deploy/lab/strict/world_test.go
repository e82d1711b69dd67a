package strict_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vslm"

	"ivdmover/coordinator/inventory"
	"ivdmover/deploy/lab"
	"ivdmover/deploy/lab/script"
	"ivdmover/shared/ivd"
	"ivdmover/vddk"
)

const mib = 1 << 20

// world is a laboratory with one disk, and a login as a mover gets one.
type world struct {
	t      testing.TB
	dir    string
	lab    *lab.Lab
	vc     *inventory.VCenter
	disk   ivd.DiskRef
	login  vddk.Params
	failed bool // misuses are what the test is about
}

func newWorld(t testing.TB, size int64) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	var err error
	w.lab, err = lab.Start(t.Context(), lab.Options{Dir: w.dir})
	must(t, err)
	r := w.lab.Ready()
	w.vc, err = inventory.Connect(t.Context(), inventory.Config{
		Name: "lab", URL: r.URL, Username: r.Username, Password: ivd.Secret(r.Password), Thumbprint: r.Thumbprint,
	})
	must(t, err)
	t.Cleanup(func() {
		w.end()
		misuses, err := script.Misuses(w.dir) // access that nobody has ended among them
		must(t, err)
		if len(misuses) > 0 && !w.failed {
			t.Errorf("misuses: %+v", misuses)
		}
	})
	store, err := w.vc.Datastore(t.Context(), "datastore1")
	must(t, err)
	w.disk, err = w.vc.CreateDisk(t.Context(), store.ID, "one", size/mib)
	must(t, err)
	l, err := w.vc.Login(t.Context())
	must(t, err)
	w.login = vddk.Params{
		Server: l.Server, Port: uint32(l.Port), Thumbprint: l.Thumbprint, User: l.User, Cookie: l.Cookie.Reveal(),
	}
	return w
}

// end logs out and ends the laboratory, unless that was done.
func (w *world) end() {
	w.t.Helper()
	if w.vc != nil {
		must(w.t, w.vc.Close())
		w.vc = nil
	}
	must(w.t, w.lab.Close())
}

// client is logged in until the laboratory ends.
func (w *world) client() *vim25.Client {
	w.t.Helper()
	ctx, r := w.t.Context(), w.lab.Ready()
	u, err := url.Parse(r.URL)
	must(w.t, err)
	sc := soap.NewClient(u, false)
	sc.SetThumbprint(u.Host, r.Thumbprint)
	vc, err := vim25.NewClient(ctx, sc)
	must(w.t, err)
	must(w.t, session.NewManager(vc).Login(ctx, url.UserPassword(r.Username, r.Password)))
	return vc
}

// thick makes a disk that is not thin, encrypted where there is a key.
func (w *world) thick(name, key string) ivd.DiskRef {
	w.t.Helper()
	ctx := w.t.Context()
	spec := types.VslmCreateSpec{
		Name: name, CapacityInMB: 1,
		BackingSpec: &types.VslmCreateSpecDiskFileBackingSpec{
			VslmCreateSpecBackingSpec: types.VslmCreateSpecBackingSpec{
				Datastore: types.ManagedObjectReference{Type: "Datastore", Value: string(w.disk.Datastore())},
			},
			ProvisioningType: string(types.BaseConfigInfoDiskFileBackingInfoProvisioningTypeEagerZeroedThick),
		},
	}
	if key != "" {
		spec.Crypto = &types.CryptoSpecEncrypt{CryptoKeyId: types.CryptoKeyId{KeyId: key}}
	}
	task, err := vslm.NewObjectManager(w.client()).CreateDisk(ctx, spec)
	must(w.t, err)
	info, err := task.WaitForResult(ctx)
	must(w.t, err)
	ref := w.disk
	ref = ivd.NewDiskRef(ref.Source(), ref.Datastore(), ivd.DiskID(info.Result.(types.VStorageObject).Config.Id.Id))
	return ref
}

// proxy makes this process a machine with free slots, and with LUNs.
func (w *world) proxy(slots int, luns ...string) {
	w.t.Helper()
	must(w.t, script.WriteHosts(w.dir, script.Hosts{
		Proxies: []script.Proxy{{BIOSUUID: strings.ToUpper(self), VM: "lab-vm-3", FreeSlots: slots, LUNs: luns}},
	}))
}

func (w *world) at(snapshot ivd.SnapshotID) vddk.Params {
	p := w.login
	p.Disk = &vddk.DiskSpec{ID: string(w.disk.ID()), Datastore: string(w.disk.Datastore()), Snapshot: string(snapshot)}
	return p
}

func (w *world) snapshot() ivd.SnapshotID {
	w.t.Helper()
	s, err := w.vc.CreateSnapshot(w.t.Context(), w.disk, "test")
	must(w.t, err)
	return s
}

// keeps tries to delete a snapshot that somebody holds. The coordinator's client
// asks again for a while: it is not waited for.
func (w *world) keeps(s ivd.SnapshotID) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 500*time.Millisecond)
	defer cancel()
	if err := w.vc.DeleteSnapshot(ctx, w.disk, s); err == nil {
		w.t.Fatal("the snapshot was deleted under a device")
	}
	list, err := w.vc.Snapshots(w.t.Context(), w.disk)
	must(w.t, err)
	if !slices.ContainsFunc(list, func(x inventory.Snapshot) bool { return x.ID == s }) {
		w.t.Fatalf("snapshot %s is gone", s)
	}
}

// guest writes random bytes, and into want.
func (w *world) guest(want []byte, off int64, seed uint64, n int64) {
	w.t.Helper()
	_, err := lab.Write(w.t.Context(), w.dir, w.disk.ID(), off, lab.Random(seed, n))
	must(w.t, err)
	_, err = io.ReadFull(lab.Random(seed, n), want[off:off+n])
	must(w.t, err)
}

// open opens a disk and closes it when the test ends, unless it did.
func open(t testing.TB, p vddk.Params, flags vddk.OpenFlags, modes string) (*vddk.Handle, error) {
	t.Helper()
	c, err := lib.Connect(t.Context(), p, flags&vddk.ReadOnly != 0, modes)
	if err != nil {
		return nil, err
	}
	h, err := c.Open(t.Context(), p.Disk.ID, flags)
	if err != nil {
		return nil, errors.Join(err, c.Disconnect())
	}
	t.Cleanup(func() { must(t, errors.Join(h.Close(), c.Disconnect())) })
	return h, nil
}

func mustOpen(t testing.TB, p vddk.Params, flags vddk.OpenFlags, modes string) *vddk.Handle {
	t.Helper()
	h, err := open(t, p, flags, modes)
	must(t, err)
	return h
}

func wantCode(t *testing.T, err error, code uint64) {
	t.Helper()
	var e *vddk.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("got %v, want code %d", err, code)
	}
}

// rules are the misuses that the laboratory's report has.
func (w *world) rules() string {
	var rules []string
	for _, m := range w.lab.Report().Misuses {
		rules = append(rules, m.Rule)
	}
	return strings.Join(rules, " ")
}

// compare reads a whole disk in requests that are no multiples of blocks.
func compare(t *testing.T, h *vddk.Handle, want []byte) {
	t.Helper()
	b := vddk.Alloc(700 << 10)
	defer b.Free()
	for at := 0; at < len(want); at += len(b.Bytes()) {
		part := b.Bytes()[:min(len(b.Bytes()), len(want)-at)]
		must(t, h.Read(part, uint64(at/512)))
		if !bytes.Equal(part, want[at:at+len(part)]) {
			t.Fatalf("%s: the disk differs within the %d bytes at %d", h.Transport(), len(part), at)
		}
	}
}

func write(t *testing.T, h *vddk.Handle, p []byte, off int64) error {
	t.Helper()
	b := vddk.Alloc(len(p))
	defer b.Free()
	copy(b.Bytes(), p)
	return h.Write(b.Bytes(), uint64(off/512))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
