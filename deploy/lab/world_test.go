package lab_test

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vslm"

	"ivdmover/deploy/lab"
	"ivdmover/shared/ivd"
)

// world is a laboratory with a logged-in client, as a program meets it.
type world struct {
	t     *testing.T
	o     lab.Options
	lab   *lab.Lab
	ready lab.Ready
	c     *govmomi.Client
	m     *vslm.ObjectManager
	ds    map[string]types.ManagedObjectReference
	vms   map[string]*object.VirtualMachine
}

func newWorld(t *testing.T, o lab.Options) *world {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	w := &world{t: t, o: o}
	w.start()
	t.Cleanup(w.stop)
	return w
}

func (w *world) start() {
	w.t.Helper()
	var err error
	w.lab, err = lab.Start(w.t.Context(), w.o)
	must(w.t, err)
	w.ready = w.lab.Ready()
	w.connect()
}

func (w *world) stop() {
	w.t.Helper()
	if w.lab == nil {
		return
	}
	must(w.t, w.c.Logout(context.WithoutCancel(w.t.Context())))
	w.c.CloseIdleConnections()
	must(w.t, w.lab.Close())
	w.lab = nil
}

// login makes a session that trusts the certificate by its thumbprint alone.
func login(ctx context.Context, r lab.Ready, password string) (*govmomi.Client, error) {
	u, err := url.Parse(r.URL)
	if err != nil {
		return nil, err
	}
	sc := soap.NewClient(u, false)
	sc.SetThumbprint(u.Host, r.Thumbprint)
	vc, err := vim25.NewClient(ctx, sc)
	if err != nil {
		return nil, err
	}
	c := &govmomi.Client{Client: vc, SessionManager: session.NewManager(vc)}
	return c, c.Login(ctx, url.UserPassword(r.Username, password))
}

func (w *world) connect() {
	w.t.Helper()
	ctx := w.t.Context()
	var err error
	w.c, err = login(ctx, w.ready, w.ready.Password)
	must(w.t, err)
	w.m = vslm.NewObjectManager(w.c.Client)
	f := find.NewFinder(w.c.Client)
	dc, err := f.DefaultDatacenter(ctx)
	must(w.t, err)
	f.SetDatacenter(dc)
	w.ds, w.vms = map[string]types.ManagedObjectReference{}, map[string]*object.VirtualMachine{}
	stores, err := f.DatastoreList(ctx, "*")
	must(w.t, err)
	for _, d := range stores {
		w.ds[d.Name()] = d.Reference()
	}
	vms, err := f.VirtualMachineList(ctx, "*")
	must(w.t, err)
	for _, vm := range vms {
		w.vms[vm.Name()] = vm
	}
}

// do waits for a task that must succeed.
func (w *world) do(task *object.Task, err error) any {
	w.t.Helper()
	must(w.t, err)
	info, err := task.WaitForResult(w.t.Context())
	must(w.t, err)
	return info.Result
}

// fails waits for a task, or takes a call's error, and wants the named fault.
func (w *world) fails(want types.BaseMethodFault, task *object.Task, err error) {
	w.t.Helper()
	if err == nil {
		err = task.Wait(w.t.Context())
	}
	wantFault(w.t, err, want)
}

func (w *world) create(store, name string, mib int64) ivd.DiskID {
	w.t.Helper()
	spec := types.VslmCreateSpec{
		Name: name, CapacityInMB: mib,
		BackingSpec: &types.VslmCreateSpecDiskFileBackingSpec{
			VslmCreateSpecBackingSpec: types.VslmCreateSpecBackingSpec{Datastore: w.ds[store]},
			ProvisioningType:          string(types.BaseConfigInfoDiskFileBackingInfoProvisioningTypeThin),
		},
	}
	task, err := w.m.CreateDisk(w.t.Context(), spec)
	return ivd.DiskID(w.do(task, err).(types.VStorageObject).Config.Id.Id)
}

// register puts a raw image of a size into a datastore and registers it.
func (w *world) register(store, name string, content []byte, size int64) ivd.DiskID {
	w.t.Helper()
	dir := filepath.Join(w.o.Dir, "datastores", store, "fcd")
	flat := filepath.Join(dir, name+"-flat.vmdk")
	must(w.t, os.WriteFile(flat, content, 0o600))
	must(w.t, os.Truncate(flat, size))
	must(w.t, os.WriteFile(filepath.Join(dir, name+".vmdk"), nil, 0o600))
	d, err := w.m.RegisterDisk(w.t.Context(), w.folderURL(store, "fcd/"+name+".vmdk"), name)
	must(w.t, err)
	return ivd.DiskID(d.Config.Id.Id)
}

func (w *world) folderURL(store, path string) string {
	u, err := url.Parse(w.ready.URL)
	must(w.t, err)
	u.Path, u.RawQuery = "/folder/"+path, url.Values{"dcPath": {"DC0"}, "dsName": {store}}.Encode()
	return u.String()
}

func (w *world) snapshot(store string, id ivd.DiskID, description string) string {
	w.t.Helper()
	task, err := w.m.CreateSnapshot(w.t.Context(), w.ds[store], string(id), description)
	return w.do(task, err).(types.ID).Id
}

func (w *world) changeID(store string, id ivd.DiskID, snapshot string) string {
	w.t.Helper()
	res, err := methods.RetrieveSnapshotDetails(w.t.Context(), w.c.Client, &types.RetrieveSnapshotDetails{
		This: w.m.ManagedObjectReference, Id: types.ID{Id: string(id)}, Datastore: w.ds[store], SnapshotId: types.ID{Id: snapshot},
	})
	must(w.t, err)
	return res.Returnval.ChangedBlockTrackingId
}

func (w *world) areas(store string, id ivd.DiskID, snapshot, since string, from int64) (types.DiskChangeInfo, error) {
	res, err := methods.VstorageObjectVCenterQueryChangedDiskAreas(w.t.Context(), w.c.Client, &types.VstorageObjectVCenterQueryChangedDiskAreas{
		This: w.m.ManagedObjectReference, Id: types.ID{Id: string(id)}, Datastore: w.ds[store],
		SnapshotId: types.ID{Id: snapshot}, ChangeId: since, StartOffset: from,
	})
	if err != nil {
		return types.DiskChangeInfo{}, err
	}
	return res.Returnval, nil
}

func (w *world) track(store string, id ivd.DiskID) {
	w.t.Helper()
	_, err := methods.SetVStorageObjectControlFlags(w.t.Context(), w.c.Client, &types.SetVStorageObjectControlFlags{
		This: w.m.ManagedObjectReference, Id: types.ID{Id: string(id)}, Datastore: w.ds[store],
		ControlFlags: []string{string(types.VslmVStorageObjectControlFlagEnableChangedBlockTracking)},
	})
	must(w.t, err)
}

func (w *world) write(id ivd.DiskID, off int64, seed uint64, n int64) {
	w.t.Helper()
	_, err := lab.Write(w.t.Context(), w.o.Dir, id, off, lab.Random(seed, n))
	must(w.t, err)
}

func (w *world) retrieve(store string, id ivd.DiskID) types.VStorageObjectConfigInfo {
	w.t.Helper()
	d, err := w.m.Retrieve(w.t.Context(), w.ds[store], string(id))
	must(w.t, err)
	return d.Config
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
