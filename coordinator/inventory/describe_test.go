package inventory

import (
	"testing"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/deploy/lab"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// All that vSphere tells of a disk: of itself, of its datastore, and of the machines
// that it is attached to.
func TestDescribe(t *testing.T) {
	ctx := t.Context()
	v, _, _ := laboratory(t, lab.Options{Disks: 1, DiskSize: 4 * mib})
	ref := listed(t, v)[0].Ref
	d := must[Description](t)(v.Describe(ctx, ref))
	if d.Ref != ref || d.Name == "" || d.Created.IsZero() || d.Path == "" || d.Provisioning != "thin" || d.BackingUUID == "" || len(d.Attachments) != 0 || d.ControllerType != "" {
		t.Errorf("%+v", d)
	}
	if s := d.Datastore; s.ID != ref.Datastore() || s.Name != d.DatastoreName || s.Type != "VMFS" || s.URL == "" {
		t.Errorf("datastore %+v", s)
	}
	want := job.Location{IVD: string(ref.ID()), Datastore: string(ref.Datastore())}
	if o := must[job.Disk](t)(v.Opens(ref)); o.Ref != ref || o.Open != want {
		t.Errorf("it is opened by %+v, want %+v", o, want)
	}
	if _, err := v.Opens(ivd.NewDiskRef(ref.Source(), ref.Datastore(), ref.ID()+".2000")); ivd.KindOf(err) != ivd.Unsupported {
		t.Errorf("a VM's own disk: %v", err)
	}
	if p := v.Product(); p.Name == "" || p.Version == "" || p.Build == "" {
		t.Errorf("%+v", p)
	}

	vm := machine(t, v, "lab-vm-1")
	attach(t, v, vm, ref)
	detached := d.BackingUUID
	d = must[Description](t)(v.Describe(ctx, ref))
	if len(d.Attachments) != 1 || d.ControllerType != "ParaVirtualSCSIController" || d.BackingUUID == detached {
		t.Fatalf("%+v", d)
	}
	a := d.Attachments[0]
	if a.VM != (VM{ID: vm.Value, Name: "lab-vm-1"}) || a.UUID == "" || a.Controller != "ParaVirtualSCSIController 0" || a.Unit == nil || a.Mode != "persistent" {
		t.Errorf("%+v", a)
	}

	// Of a machine that is not shown, what is known stays; an outage is an error.
	interpose(v, func(_, res soap.HasFault) (bool, error) {
		b, ok := res.(*methods.RetrieveVStorageObjectAssociationsBody)
		if !ok {
			return false, nil
		}
		b.Res = &types.RetrieveVStorageObjectAssociationsResponse{Returnval: []types.VStorageObjectAssociations{{
			Id: types.ID{Id: string(ref.ID())}, VmDiskAssociations: []types.VStorageObjectAssociationsVmDiskAssociations{{VmId: "vm-gone"}},
		}}}
		return true, nil
	})
	d = must[Description](t)(v.Describe(ctx, ref))
	if len(d.Attachments) != 1 || d.Attachments[0].VM.ID != "vm-gone" || d.Attachments[0].Unit != nil {
		t.Errorf("%+v", d.Attachments)
	}
	_, err := v.Describe(ctx, ivd.NewDiskRef(ref.Source(), ref.Datastore(), "11111111-2222-4333-8444-555555555555"))
	wantKind(t, "describe a disk that is not there", err, ivd.NotFound)
}

// The key with which vSphere encrypts a disk is told by its name and its provider.
func TestDescribeEncrypted(t *testing.T) {
	v, _, _ := laboratory(t, lab.Options{Disks: 1, DiskSize: 4 * mib})
	ref := listed(t, v)[0].Ref
	interpose(v, func(req, res soap.HasFault) (bool, error) {
		b, ok := res.(*methods.RetrieveVStorageObjectBody)
		if !ok {
			return false, nil
		}
		err := v.own.RoundTrip(t.Context(), req, res)
		if b.Res != nil {
			file := b.Res.Returnval.Config.Backing.(types.BaseBaseConfigInfoFileBackingInfo).GetBaseConfigInfoFileBackingInfo()
			file.KeyId = &types.CryptoKeyId{KeyId: "k-1", ProviderId: &types.KeyProviderId{Id: "kms"}}
		}
		return true, err
	})
	if d := must[Description](t)(v.Describe(t.Context(), ref)); !d.Encrypted || d.KeyID != "k-1" || d.KeyProvider != "kms" {
		t.Errorf("%+v", d.Disk)
	}
}

func TestOneSnapshot(t *testing.T) {
	v, _, _ := laboratory(t, lab.Options{Disks: 1, DiskSize: 4 * mib})
	ref := listed(t, v)[0].Ref
	must[ivd.SnapshotID](t)(v.CreateSnapshot(t.Context(), ref, "another"))
	id := must[ivd.SnapshotID](t)(v.CreateSnapshot(t.Context(), ref, "ours"))
	if s := must[Snapshot](t)(v.Snapshot(t.Context(), ref, id)); s.ID != id || s.Description != "ours" || s.Created.IsZero() {
		t.Errorf("%+v", s)
	}
	_, err := v.Snapshot(t.Context(), ref, "none")
	wantKind(t, "ask for a snapshot that is not there", err, ivd.NotFound)
}
