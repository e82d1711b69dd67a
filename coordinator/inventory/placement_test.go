package inventory

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/deploy/lab"
	labestate "ivdmover/deploy/lab/estate"
	"ivdmover/shared/ivd"
)

// makeDisk makes a disk as CreateDisk does not.
func makeDisk(t *testing.T, v *VCenter, ds ivd.DatastoreID, provisioning string, crypto types.BaseCryptoSpec) ivd.DiskRef {
	t.Helper()
	ref := must[types.ManagedObjectReference](t)(v.beginCreateDisk(t.Context(), types.VslmCreateSpec{
		Name: provisioning, CapacityInMB: 1, Crypto: crypto,
		BackingSpec: &types.VslmCreateSpecDiskFileBackingSpec{
			VslmCreateSpecBackingSpec: types.VslmCreateSpecBackingSpec{Datastore: datastoreRef(ds)}, ProvisioningType: provisioning,
		},
	}))
	object := value(must[any](t)(v.await(t.Context(), "a test", ref))).(types.VStorageObject)
	return ivd.NewDiskRef(v.Source(), ds, ivd.DiskID(object.Config.Id.Id))
}

func TestPlacement(t *testing.T) {
	for name, esx := range map[string]bool{"vCenter": false, "ESXi host": true} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			v, _, _ := laboratory(t, lab.Options{ESX: esx})
			ds := must[Datastore](t)(v.Datastore(ctx, "datastore1"))
			if ds.Type != "VMFS" || !slices.Equal(ds.LUNs, []string{labestate.LUN("datastore1")}) {
				t.Errorf("%+v", ds)
			}
			thin := must[ivd.DiskRef](t)(v.CreateDisk(ctx, ds.ID, "thin", 1))
			thick := makeDisk(t, v, ds.ID, "eagerZeroedThick", nil)
			locked := makeDisk(t, v, ds.ID, "thin", &types.CryptoSpecEncrypt{CryptoKeyId: types.CryptoKeyId{KeyId: "k"}})

			mine, other := strings.ToUpper(labestate.BIOSUUID("lab-vm-1")), "00000000-1111-2222-3333-444444444444"
			asked := []string{other, mine, "no uuid", ""}
			plain := Placement{DatastoreType: "VMFS", LUNs: ds.LUNs, Thin: true, Proxies: []string{mine}}
			if p := must[Placement](t)(v.Placement(ctx, thin, asked)); !reflect.DeepEqual(p, plain) {
				t.Errorf("thin: %+v", p)
			}
			plain.Thin = false
			if p := must[Placement](t)(v.Placement(ctx, thick, asked)); !reflect.DeepEqual(p, plain) {
				t.Errorf("thick: %+v", p)
			}
			// The machine is not encrypted, so it is given no encrypted disk.
			if p := must[Placement](t)(v.Placement(ctx, locked, asked)); !p.Encrypted || p.Proxies != nil {
				t.Errorf("encrypted: %+v", p)
			}
			encrypted := labestate.BIOSUUID("lab-vm-3")
			task := must[*types.ReconfigVM_TaskResponse](t)(methods.ReconfigVM_Task(ctx, v.client(), &types.ReconfigVM_Task{
				This: machine(t, v, "lab-vm-3"), Spec: types.VirtualMachineConfigSpec{
					Crypto: &types.CryptoSpecEncrypt{CryptoKeyId: types.CryptoKeyId{KeyId: "k", ProviderId: &types.KeyProviderId{Id: "p"}}},
				},
			}))
			must[any](t)(v.await(ctx, "a test", task.Returnval))
			if p := must[Placement](t)(v.Placement(ctx, locked, append(asked, encrypted))); !reflect.DeepEqual(p.Proxies, []string{encrypted}) {
				t.Errorf("encrypted, with an encrypted machine: %+v", p)
			}
			gone := thin
			gone = ivd.NewDiskRef(gone.Source(), gone.Datastore(), "00000000-0000-4000-8000-000000000000")
			_, err := v.Placement(ctx, gone, asked)
			wantKind(t, "no disk", err, ivd.NotFound, string(gone.ID()))
		})
	}
}

// A full machine has no slot; an answer is relied on for a while, and then asked again.
func TestProxiesAreRemembered(t *testing.T) {
	ctx := t.Context()
	v, _, _ := laboratory(t, lab.Options{Disks: 15, DiskSize: mib})
	id := labestate.BIOSUUID("lab-vm-1")
	questions := 0
	interpose(v, func(req, _ soap.HasFault) (bool, error) {
		if called(req) == "FindAllByUuid" {
			questions++
		}
		return false, nil
	})
	one := func() Proxy {
		t.Helper()
		list := must[[]Proxy](t)(v.Proxies(ctx, []string{id}))
		if len(list) != 1 {
			t.Fatalf("%+v", list)
		}
		return list[0]
	}
	if p := one(); p.FreeSlots != 15 || p.VM.Name != "lab-vm-1" || p.BIOSUUID != id || len(p.Datastores) != 2 || p.Encrypted {
		t.Errorf("%+v", p)
	}
	vm := machine(t, v, "lab-vm-1")
	for _, d := range listed(t, v) {
		attach(t, v, vm, d.Ref)
	}
	asked := questions
	if p := one(); p.FreeSlots != 15 || questions != asked {
		t.Errorf("%+v after %d questions more", p, questions-asked)
	}
	v.proxies.life = 0
	if p := one(); p.FreeSlots != 0 || questions == asked {
		t.Errorf("%+v", p)
	}
}

// Guests with a newer firmware read the first three groups turned round.
func TestSpellingsOfBIOSUUIDs(t *testing.T) {
	v, _, _ := laboratory(t, lab.Options{})
	id := labestate.BIOSUUID("lab-vm-3")
	turned := spellings(id)[1]
	if turned[:8] != id[6:8]+id[4:6]+id[2:4]+id[:2] || turned[18:] != id[18:] || spellings(turned)[1] != id {
		t.Errorf("%s turned is %s", id, turned)
	}
	if list := must[[]Proxy](t)(v.Proxies(t.Context(), []string{turned})); len(list) != 1 || list[0].VM.Name != "lab-vm-3" || list[0].BIOSUUID != turned {
		t.Errorf("%+v", list)
	}
}

func TestABIOSUUIDOfSeveralMachines(t *testing.T) {
	v, _, _ := laboratory(t, lab.Options{})
	interpose(v, func(req, res soap.HasFault) (bool, error) {
		b, ok := res.(*methods.FindAllByUuidBody)
		if !ok {
			return false, nil
		}
		b.Res = &types.FindAllByUuidResponse{Returnval: []types.ManagedObjectReference{{Type: "VirtualMachine", Value: "vm-1"}, {Type: "VirtualMachine", Value: "vm-2"}}}
		return true, nil
	})
	if list := must[[]Proxy](t)(v.Proxies(t.Context(), []string{labestate.BIOSUUID("lab-vm-1")})); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}
