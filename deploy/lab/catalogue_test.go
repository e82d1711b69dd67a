package lab_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/vmware/govmomi/cns"
	cnstypes "github.com/vmware/govmomi/cns/types"
	"github.com/vmware/govmomi/pbm"
	pbmmethods "github.com/vmware/govmomi/pbm/methods"
	pbmtypes "github.com/vmware/govmomi/pbm/types"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/deploy/lab"
	"ivdmover/deploy/lab/estate"
	"ivdmover/deploy/lab/owner"
	"ivdmover/deploy/lab/vcenter"
	"ivdmover/shared/ivd"
)

// A disk's tags are the vCenter's, go with it over a restart, and are asked for by
// its id alone.
func TestTagsOfDisks(t *testing.T) {
	w := newWorld(t, lab.Options{})
	a, b := w.create("datastore1", "a", 1), w.create("datastore2", "b", 1)
	must(t, w.attachTag(a, "tier", "gold"))
	must(t, w.attachTag(a, "owner", "gold"))
	must(t, w.attachTag(a, "tier", "gold")) // again: it is there
	must(t, w.attachTag(b, "tier", "gold"))
	wantFault(t, w.attachTag(a, "tier", "finance"), &types.NotFound{})
	wantFault(t, w.attachTag("11111111-2222-4333-8444-555555555555", "tier", "gold"), &types.NotFound{})
	for range 2 {
		if tags := w.tags(a); !slices.Equal(tags, []string{"owner gold", "tier gold"}) {
			t.Errorf("tags %q", tags)
		}
		w.stop()
		w.start()
	}
	res, err := methods.ListVStorageObjectsAttachedToTag(t.Context(), w.c.Client, &types.ListVStorageObjectsAttachedToTag{This: w.m.ManagedObjectReference, Category: "tier", Tag: "gold"})
	must(t, err)
	if len(res.Returnval) != 2 {
		t.Errorf("disks of a tag: %v", res.Returnval)
	}
	_, err = methods.ListVStorageObjectsAttachedToTag(t.Context(), w.c.Client, &types.ListVStorageObjectsAttachedToTag{This: w.m.ManagedObjectReference, Category: "tier", Tag: "none"})
	wantFault(t, err, &types.NotFound{})
	_, err = methods.DetachTagFromVStorageObject(t.Context(), w.c.Client, &types.DetachTagFromVStorageObject{This: w.m.ManagedObjectReference, Id: types.ID{Id: string(a)}, Category: "owner", Tag: "gold"})
	must(t, err)
	if tags := w.tags(a); !slices.Equal(tags, []string{"tier gold"}) {
		t.Errorf("tags %q", tags)
	}
	_, err = methods.ListTagsAttachedToVStorageObject(t.Context(), w.c.Client, &types.ListTagsAttachedToVStorageObject{This: w.m.ManagedObjectReference, Id: types.ID{Id: "none"}})
	wantFault(t, err, &types.NotFound{})
}

func (w *world) attachTag(id ivd.DiskID, category, name string) error {
	_, err := methods.AttachTagToVStorageObject(w.t.Context(), w.c.Client, &types.AttachTagToVStorageObject{This: w.m.ManagedObjectReference, Id: types.ID{Id: string(id)}, Category: category, Tag: name})
	return err
}

func (w *world) tags(id ivd.DiskID) []string {
	w.t.Helper()
	res, err := methods.ListTagsAttachedToVStorageObject(w.t.Context(), w.c.Client, &types.ListTagsAttachedToVStorageObject{This: w.m.ManagedObjectReference, Id: types.ID{Id: string(id)}})
	must(w.t, err)
	var tags []string
	for _, e := range res.Returnval {
		tags = append(tags, e.ParentCategoryName+" "+e.TagName)
	}
	slices.Sort(tags)
	return tags
}

// Storage policies are asked for with a session, with the right to see them, and by
// an IVD's id.
func TestStoragePolicies(t *testing.T) {
	w := newWorld(t, lab.Options{})
	gold, silver := estate.Policies()[0], estate.Policies()[1]
	plain := w.create("datastore1", "plain", 1)
	task, err := w.m.CreateDisk(t.Context(), types.VslmCreateSpec{
		Name: "placed", CapacityInMB: 1, Profile: []types.BaseVirtualMachineProfileSpec{&types.VirtualMachineDefinedProfileSpec{ProfileId: gold.ID}},
		BackingSpec: &types.VslmCreateSpecDiskFileBackingSpec{VslmCreateSpecBackingSpec: types.VslmCreateSpecBackingSpec{Datastore: w.ds["datastore1"]}},
	})
	placed := ivd.DiskID(w.do(task, err).(types.VStorageObject).Config.Id.Id)
	set := func(policy string) error {
		return w.as(func(o *owner.Owner) error { return o.SetPolicy(t.Context(), w.ref("datastore1", plain), policy) })
	}
	must(t, set(silver.ID))
	if err := set("none"); err == nil {
		t.Error("a policy that is not there was set")
	}
	for range 2 {
		for id, want := range map[ivd.DiskID]estate.Policy{placed: gold, plain: silver} {
			ids, err := w.policyOf(w.disk(id))
			must(t, err)
			if len(ids) != 1 || ids[0].UniqueId != want.ID {
				t.Fatalf("disk %s has policies %v", id, ids)
			}
			content, err := w.pbm().RetrieveContent(t.Context(), ids)
			must(t, err)
			if name := content[0].GetPbmProfile().Name; name != want.Name {
				t.Errorf("the policy is called %q", name)
			}
		}
		w.stop()
		w.start()
	}
	if ids, err := w.policyOf(w.disk(w.create("datastore1", "without", 1))); err != nil || len(ids) != 0 {
		t.Errorf("%v, %v", ids, err)
	}

	another := w.disk(plain)
	another.ServerUuid = "another"
	for name, object := range map[string]pbmtypes.PbmServerObjectRef{
		"no disk":         w.disk("11111111-2222-4333-8444-555555555555"),
		"another vCenter": another,
		"another kind":    {ObjectType: string(pbmtypes.PbmObjectTypeVirtualDiskId), Key: string(plain)},
	} {
		if _, err := w.policyOf(object); err == nil {
			t.Errorf("%s: no fault", name)
		} else {
			wantFault(t, err, &types.InvalidArgument{})
		}
	}
	_, err = w.pbm().RetrieveContent(t.Context(), []pbmtypes.PbmProfileId{{UniqueId: "none"}})
	wantFault(t, err, &types.InvalidArgument{})
}

// as lets the estate's owner do something.
func (w *world) as(do func(*owner.Owner) error) error {
	w.t.Helper()
	o, err := owner.Connect(w.t.Context(), w.ready.URL, w.ready.Username, w.ready.Password, w.ready.Thumbprint)
	must(w.t, err)
	defer func() { must(w.t, o.Close(w.t.Context())) }()
	return do(o)
}

func (w *world) ref(store string, id ivd.DiskID) ivd.DiskRef {
	return ivd.NewDiskRef("", ivd.DatastoreID(w.ds[store].Value), id)
}

func (w *world) pbm() *pbm.Client {
	w.t.Helper()
	c, err := pbm.NewClient(w.t.Context(), w.c.Client)
	must(w.t, err)
	return c
}

func (w *world) disk(id ivd.DiskID) pbmtypes.PbmServerObjectRef {
	return pbmtypes.PbmServerObjectRef{ObjectType: string(pbmtypes.PbmObjectTypeVirtualDiskUUID), Key: string(id), ServerUuid: w.c.ServiceContent.About.InstanceUuid}
}

func (w *world) policyOf(object pbmtypes.PbmServerObjectRef) ([]pbmtypes.PbmProfileId, error) {
	w.t.Helper()
	c := w.pbm()
	res, err := pbmmethods.PbmQueryAssociatedProfile(w.t.Context(), c, &pbmtypes.PbmQueryAssociatedProfile{This: c.ServiceContent.ProfileManager, Entity: object})
	if err != nil {
		return nil, err
	}
	return res.Returnval, nil
}

// A container's volume is a disk that its cluster has named; only container storage
// knows its labels.
func TestContainerVolumes(t *testing.T) {
	w := newWorld(t, lab.Options{})
	id := w.create("datastore1", "volume", 1)
	w.create("datastore1", "plain", 1)
	bind := func(ref ivd.DiskRef) error {
		return w.as(func(o *owner.Owner) error {
			return o.Bind(t.Context(), ref, owner.Volume{
				Cluster: "prod", Namespace: "shop", Claim: "data-0", Name: "pvc-1", ClaimLabels: map[string]string{"app": "shop"}, Labels: map[string]string{"app": "any"},
			})
		})
	}
	must(t, bind(w.ref("datastore1", id)))
	for range 2 {
		metadata := map[string]string{}
		for _, kv := range w.retrieve("datastore1", id).Metadata {
			metadata[kv.Key] = kv.Value
		}
		if metadata["cns.containerCluster.clusterId"] != "prod" || metadata["cns.k8s.pvc.name"] != "data-0" || metadata["cns.k8s.pvc.namespace"] != "shop" || metadata["cns.k8s.pv.name"] != "pvc-1" || metadata["app"] != "" {
			t.Errorf("metadata %v", metadata)
		}
		for _, filter := range []cnstypes.CnsQueryFilter{{}, {VolumeIds: []cnstypes.CnsVolumeId{{Id: string(id)}}}} {
			res, err := w.cns().QueryVolume(t.Context(), &filter)
			must(t, err)
			if len(res.Volumes) != 1 || res.Volumes[0].VolumeId.Id != string(id) || len(res.Volumes[0].Metadata.EntityMetadata) != 2 {
				t.Fatalf("%+v", res.Volumes)
			}
			claim, ok := res.Volumes[0].Metadata.EntityMetadata[1].(*cnstypes.CnsKubernetesEntityMetadata)
			if !ok || claim.EntityName != "data-0" || claim.Namespace != "shop" || len(claim.Labels) != 1 || claim.Labels[0] != (types.KeyValue{Key: "app", Value: "shop"}) {
				t.Errorf("claim %+v", claim)
			}
		}
		w.stop()
		w.start()
	}
	res, err := w.cns().QueryVolume(t.Context(), &cnstypes.CnsQueryFilter{VolumeIds: []cnstypes.CnsVolumeId{{Id: "none"}}})
	if err != nil || len(res.Volumes) != 0 {
		t.Errorf("%+v, %v", res, err)
	}
	if err := bind(w.ref("datastore1", "none")); err == nil {
		t.Error("what is no disk became a volume")
	}
}

func (w *world) cns() *cns.Client {
	w.t.Helper()
	c, err := cns.NewClient(w.t.Context(), w.c.Client)
	must(w.t, err)
	return c
}

// Both services want a session and a privilege; a vCenter may be without them, and a
// standalone host always is.
func TestServicesBesideTheAPI(t *testing.T) {
	w := newWorld(t, lab.Options{Lacks: []string{vcenter.ViewPolicies, vcenter.SearchCNS}})
	id := w.create("datastore1", "a", 1)
	_, err := w.policyOf(w.disk(id))
	wantFault(t, err, &types.NoPermission{})
	_, err = w.pbm().QueryProfile(t.Context(), pbmtypes.PbmProfileResourceType{ResourceType: "STORAGE"}, "")
	wantFault(t, err, &types.NoPermission{})
	_, err = w.pbm().RetrieveContent(t.Context(), []pbmtypes.PbmProfileId{{UniqueId: estate.Policies()[0].ID}})
	wantFault(t, err, &types.NoPermission{})
	_, err = w.cns().QueryVolume(t.Context(), &cnstypes.CnsQueryFilter{})
	wantFault(t, err, &types.NoPermission{})

	w = newWorld(t, lab.Options{})
	id = w.create("datastore1", "a", 1)
	policies, containers := w.pbm(), w.cns()
	must(t, w.c.Logout(t.Context()))
	_, err = pbmmethods.PbmQueryAssociatedProfile(t.Context(), policies, &pbmtypes.PbmQueryAssociatedProfile{This: policies.ServiceContent.ProfileManager, Entity: w.disk(id)})
	wantFault(t, err, &types.NotAuthenticated{})
	_, err = containers.QueryVolume(t.Context(), &cnstypes.CnsQueryFilter{})
	wantFault(t, err, &types.NotAuthenticated{})
	w.c.CloseIdleConnections()
	w.connect()

	for name, o := range map[string]lab.Options{
		"stopped": {Without: []string{vcenter.PolicyService, vcenter.ContainerService}},
		"a host":  {ESX: true},
	} {
		w := newWorld(t, o)
		_, err := pbm.NewClient(t.Context(), w.c.Client)
		if err == nil || !strings.Contains(err.Error(), "404") {
			t.Errorf("%s: storage policies answer %v", name, err)
		}
		for _, path := range []string{cns.Path, "/sdk/vsanServiceVersions.xml"} {
			u := w.c.URL()
			u.Path = path
			res, err := w.c.Get(u.String())
			must(t, err)
			must(t, res.Body.Close())
			if res.StatusCode != http.StatusNotFound {
				t.Errorf("%s: %s answers %s", name, path, res.Status)
			}
		}
	}
}

// Of the first disks that a laboratory makes, one has a tag and a policy, and one is
// a volume.
func TestSeededPlaces(t *testing.T) {
	w := newWorld(t, lab.Options{Disks: 2, DiskSize: 1 << 20})
	ids, err := w.m.List(t.Context(), w.ds["datastore1"])
	must(t, err)
	first := ivd.DiskID(ids[0].Id)
	if tags := w.tags(first); !slices.Equal(tags, []string{"tier gold"}) {
		t.Errorf("tags %q", tags)
	}
	if policies, err := w.policyOf(w.disk(first)); err != nil || len(policies) != 1 {
		t.Errorf("%v, %v", policies, err)
	}
	res, err := w.cns().QueryVolume(t.Context(), &cnstypes.CnsQueryFilter{})
	must(t, err)
	if len(res.Volumes) != 1 || res.Volumes[0].Name != "disk-02" || len(res.Volumes[0].Metadata.EntityMetadata) != 2 {
		t.Errorf("%+v", res.Volumes)
	}
}
