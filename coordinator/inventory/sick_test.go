package inventory

import (
	"slices"
	"sync/atomic"
	"testing"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/deploy/lab"
	"ivdmover/shared/ivd"
)

// told is what a list of disks says: those that are there, and what is not, each with why.
type told struct {
	disks []string
	sick  []Disk
	errs  []error
}

func tell(t *testing.T, v *VCenter) (all told) {
	t.Helper()
	for d, err := range v.Disks(t.Context()) {
		if err != nil {
			all.sick, all.errs = append(all.sick, d), append(all.errs, err)
			continue
		}
		all.disks = append(all.disks, d.Name)
	}
	slices.Sort(all.disks)
	return all
}

// A disk of which vSphere does not tell, whatever the reason, hides none of its
// neighbours, and is named.
func TestSickDiskHidesNoOther(t *testing.T) {
	v := connect(t, vcsim(t, simulator.VPX()))
	ds := must[[]Datastore](t)(v.Datastores(t.Context()))[0]
	var refs []ivd.DiskRef
	for _, name := range []string{"a", "b", "c", "sick"} {
		refs = append(refs, must[ivd.DiskRef](t)(v.CreateDisk(t.Context(), ds.ID, name, 1)))
	}
	for kind, fault := range map[ivd.Kind]types.AnyType{
		ivd.Transient: types.SystemError{}, ivd.Denied: types.NoPermission{}, ivd.Permanent: types.GenericVmConfigFault{}, ivd.Unknown: types.InvalidType{},
	} {
		interpose(v, func(req, _ soap.HasFault) (bool, error) {
			if b, ok := req.(*methods.RetrieveVStorageObjectBody); ok && b.Req.Id.Id == string(refs[3].ID()) {
				return true, refuse(fault)
			}
			return false, nil
		})
		all := tell(t, v)
		if !slices.Equal(all.disks, []string{"a", "b", "c"}) || len(all.errs) != 1 || all.sick[0].Ref != refs[3] || all.sick[0].DatastoreName != ds.Name {
			t.Errorf("%q: %+v", kind, all)
			continue
		}
		wantKind(t, "the sick one", all.errs[0], kind, string(refs[3].ID()), ds.Name)
	}
}

// One answer that is lost costs nothing.
func TestListAsksAgain(t *testing.T) {
	v := connect(t, vcsim(t, simulator.VPX()))
	ds := must[[]Datastore](t)(v.Datastores(t.Context()))[0]
	must[ivd.DiskRef](t)(v.CreateDisk(t.Context(), ds.ID, "a", 1))
	for _, method := range []string{"CreateContainerView", "RetrievePropertiesEx", "RetrieveProperties", "ListVStorageObject", "RetrieveVStorageObject", "RetrieveVStorageObjectAssociations"} {
		var calls atomic.Int32
		interpose(v, func(req, _ soap.HasFault) (bool, error) {
			if called(req) == method && calls.Add(1) == 1 {
				return true, refuse(types.SystemError{})
			}
			return false, nil
		})
		all := tell(t, v)
		if !slices.Equal(all.disks, []string{"a"}) || len(all.errs) != 0 {
			t.Errorf("%s: %+v", method, all)
		}
	}
}

// A whole batch that fails is the datastore's: nobody waits for each disk of thousands.
func TestDatastoreOfSickDisks(t *testing.T) {
	ctx := t.Context()
	v := connect(t, vcsim(t, estate()))
	stores := must[[]Datastore](t)(v.Datastores(ctx))
	for i := range 2*batch + 1 {
		must[ivd.DiskRef](t)(v.CreateDisk(ctx, stores[0].ID, "disk-"+itoa(i), 1))
	}
	must[ivd.DiskRef](t)(v.CreateDisk(ctx, stores[1].ID, "well", 1))
	var asked atomic.Int32
	interpose(v, func(req, _ soap.HasFault) (bool, error) {
		if b, ok := req.(*methods.RetrieveVStorageObjectBody); ok && b.Req.Datastore.Value == string(stores[0].ID) {
			asked.Add(1)
			return true, refuse(types.HostCommunication{})
		}
		return false, nil
	})
	all := tell(t, v)
	if !slices.Equal(all.disks, []string{"well"}) || len(all.errs) != 1 || all.sick[0].Ref.ID() != "" || all.sick[0].DatastoreName != stores[0].Name {
		t.Fatalf("%+v", all)
	}
	if most := int32(batch * readAgain.Attempts); asked.Load() > most {
		t.Errorf("%d questions, at most %d were expected", asked.Load(), most)
	}
}

// A datastore, or a datacenter, of which vSphere does not tell hides no other one.
func TestSickDatastoreHidesNoOther(t *testing.T) {
	ctx := t.Context()
	v := connect(t, vcsim(t, estate()))
	stores := must[[]Datastore](t)(v.Datastores(ctx))
	for i, ds := range stores {
		must[ivd.DiskRef](t)(v.CreateDisk(ctx, ds.ID, "disk-"+itoa(i), 1))
	}
	spoil := func(kind, id string) {
		interpose(v, func(req, _ soap.HasFault) (bool, error) {
			for _, ref := range objects(req) {
				if ref.Type == kind && ref.Value == id {
					return true, refuse(types.SystemError{})
				}
			}
			return false, nil
		})
	}
	spoil("Datastore", string(stores[0].ID))
	all := tell(t, v)
	if len(all.disks) != 3 || len(all.errs) != 1 || all.sick[0].Ref.Datastore() != stores[0].ID {
		t.Errorf("a datastore: %+v", all)
	}
	if got := must[Datastore](t)(v.Datastore(ctx, string(stores[1].ID))); got.Name != stores[1].Name {
		t.Errorf("%+v", got)
	}
	_, err := v.Datastore(ctx, string(stores[0].ID))
	wantKind(t, "the sick one", err, ivd.Transient, string(stores[0].ID))
	_, err = v.Datastore(ctx, "no-such")
	wantKind(t, "a name that the sick one may have", err, ivd.Transient, string(stores[0].ID))

	centers := must[[]types.ManagedObjectReference](t)(v.viewed(ctx, "Datacenter"))
	spoil("Datacenter", centers[0].Value)
	all = tell(t, v)
	if len(all.disks) != 2 || len(all.errs) != 1 || all.sick[0].DatastoreName != "those of "+centers[0].Value {
		t.Errorf("a datacenter: %+v", all)
	}
}

// objects are those whose properties a request asks for.
func objects(req soap.HasFault) (refs []types.ManagedObjectReference) {
	var specs []types.PropertyFilterSpec
	switch b := req.(type) {
	case *methods.RetrievePropertiesBody:
		specs = b.Req.SpecSet
	case *methods.RetrievePropertiesExBody:
		specs = b.Req.SpecSet
	}
	for _, s := range specs {
		for _, o := range s.ObjectSet {
			refs = append(refs, o.Obj)
		}
	}
	return refs
}

// Associations that are not told, and machines that are not, make a disk unsure; it
// is listed, and described for its backup, all the same.
func TestUntoldAssociations(t *testing.T) {
	ctx := t.Context()
	v, _, _ := laboratory(t, lab.Options{Disks: 1, DiskSize: mib})
	disk := listed(t, v)[0]
	ref, vm := disk.Ref, machine(t, v, "lab-vm-1")
	attach(t, v, vm, ref)
	for name, answer := range map[string]func(req, res soap.HasFault) (bool, error){
		"no associations": func(req, _ soap.HasFault) (bool, error) {
			return called(req) == "RetrieveVStorageObjectAssociations", refuse(types.SystemError{})
		},
		"not of this disk": func(_, res soap.HasFault) (bool, error) {
			b, ok := res.(*methods.RetrieveVStorageObjectAssociationsBody)
			if ok {
				b.Res = &types.RetrieveVStorageObjectAssociationsResponse{Returnval: []types.VStorageObjectAssociations{{
					Id: types.ID{Id: string(ref.ID())}, Fault: &types.LocalizedMethodFault{Fault: &types.SystemError{}, LocalizedMessage: "no"},
				}}}
			}
			return ok, nil
		},
		"no machine": func(req, _ soap.HasFault) (bool, error) {
			return slices.Contains(objects(req), vm), refuse(types.SystemError{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			interpose(v, answer)
			all := tell(t, v)
			if !slices.Equal(all.disks, []string{disk.Name}) || len(all.errs) != 0 {
				t.Fatalf("%+v", all)
			}
			d := must[Disk](t)(v.Disk(ctx, ref))
			wantKind(t, "unsure", d.Unsure, ivd.Transient)
			whole := must[Description](t)(v.Describe(ctx, ref))
			if !slices.ContainsFunc(whole.Untold, func(u Untold) bool { return u.Fact == AttachmentFacts }) {
				t.Errorf("untold: %+v", whole.Untold)
			}
		})
	}
}

// A view ends with its session: a list that was under way when it was renewed is made
// again.
func TestListAfterANewLogin(t *testing.T) {
	v := connect(t, vcsim(t, estate()))
	want := len(must[[]Datastore](t)(v.Datastores(t.Context())))
	ended := false
	interpose(v, func(req, _ soap.HasFault) (bool, error) {
		for _, ref := range objects(req) {
			if ref.Type == "ContainerView" && !ended {
				ended = true
				endSessions(t, v, v.own)
			}
		}
		return false, nil
	})
	if got := must[[]Datastore](t)(v.Datastores(t.Context())); len(got) != want || !ended {
		t.Errorf("%d datastores of %d, the session was ended: %v", len(got), want, ended)
	}
}
