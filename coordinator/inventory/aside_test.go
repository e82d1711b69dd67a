package inventory

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	cnsmethods "github.com/vmware/govmomi/cns/methods"
	cnstypes "github.com/vmware/govmomi/cns/types"
	pbmmethods "github.com/vmware/govmomi/pbm/methods"
	pbmtypes "github.com/vmware/govmomi/pbm/types"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/deploy/lab"
	labestate "ivdmover/deploy/lab/estate"
	"ivdmover/deploy/lab/vcenter"
	"ivdmover/shared/ivd"
)

// The first disk of a laboratory has a tag and a policy, the second is a volume.
func seeded(t *testing.T, o lab.Options) (v *VCenter, placed, volume, plain ivd.DiskRef) {
	t.Helper()
	o.Disks, o.DiskSize = 3, mib
	v, _, _ = laboratory(t, o)
	v.aside.again.First, v.aside.again.Cap = time.Millisecond, time.Millisecond
	refs := map[string]ivd.DiskRef{}
	for _, d := range listed(t, v) {
		refs[d.Name] = d.Ref
	}
	return v, refs["disk-01"], refs["disk-02"], refs["disk-03"]
}

// What other services of the vCenter tell of a disk, also with a session that was
// ended meanwhile.
func TestDescribeAside(t *testing.T) {
	v, placed, volume, plain := seeded(t, lab.Options{})
	gold := labestate.Policies()[0]
	for range 2 {
		d := must[Description](t)(v.Describe(t.Context(), placed))
		if !slices.Equal(d.Tags, []Tag{{"tier", "gold"}}) || d.Policy == nil || *d.Policy != (Policy{gold.ID, gold.Name}) || d.Volume != nil || d.Metadata != nil || d.Untold != nil {
			t.Errorf("%+v", d)
		}
		d = must[Description](t)(v.Describe(t.Context(), volume))
		want := &Volume{
			Cluster: "laboratory", Namespace: "shop", Claim: "data-shop-0", Name: "pvc-" + string(volume.ID()),
			ClaimLabels: map[string]string{"app": "shop", "tier": "db"}, Labels: map[string]string{"zone": "a"},
		}
		if !reflect.DeepEqual(d.Volume, want) || d.Tags != nil || d.Policy != nil || d.Untold != nil {
			t.Errorf("%+v: %+v, want %+v", d, d.Volume, want)
		}
		if !maps.Equal(d.Metadata, map[string]string{"cns.containerCluster.clusterType": "KUBERNETES"}) {
			t.Errorf("metadata %v", d.Metadata)
		}
		d = must[Description](t)(v.Describe(t.Context(), plain))
		if d.Tags != nil || d.Policy != nil || d.Volume != nil || d.Untold != nil {
			t.Errorf("%+v", d)
		}
		v.own.soap.Jar.SetCookies(v.own.soap.URL(), cookies("gone"))
	}
}

// Each service finds out by itself that its session has ended.
func TestServicesLogInAgain(t *testing.T) {
	v, placed, volume, _ := seeded(t, lab.Options{})
	end := func() { // as the vCenter does
		_, err := methods.Logout(t.Context(), v.own.soap, &types.Logout{This: *v.client().ServiceContent.SessionManager})
		if err != nil {
			t.Fatal(err)
		}
	}
	end()
	if p, err := v.policies.of(t.Context(), placed.ID()); err != nil || p.Name != labestate.Policies()[0].Name {
		t.Errorf("%+v, %v", p, err)
	}
	end()
	var told Volume
	if err := v.containers.tell(t.Context(), volume.ID(), &told); err != nil || told.Claim != "data-shop-0" || told.ClaimLabels["app"] != "shop" {
		t.Errorf("%+v, %v", told, err)
	}
}

// A standalone host has none of these services, and is asked for nothing.
func TestDescribeAloneAside(t *testing.T) {
	v, ref, _, _ := seeded(t, lab.Options{ESX: true})
	v.policies.calls, v.containers.calls = nil, nil
	d := must[Description](t)(v.Describe(t.Context(), ref))
	if d.Tags != nil || d.Policy != nil || d.Volume != nil || d.Untold != nil {
		t.Errorf("%+v", d)
	}
}

// What may not be asked, or whom nobody answers for, is left out by name; all else is
// told.
func TestUntold(t *testing.T) {
	for name, c := range map[string]struct {
		o      lab.Options
		kind   ivd.Kind
		policy string
		labels string
	}{
		"no right":   {lab.Options{Lacks: []string{vcenter.ViewPolicies, vcenter.SearchCNS}}, ivd.Denied, "grant StorageProfile.View", "grant Cns.Searchable"},
		"no service": {lab.Options{Without: []string{vcenter.PolicyService, vcenter.ContainerService}}, ivd.Unsupported, "service vmware-sps", "service vsan-health"},
	} {
		t.Run(name, func(t *testing.T) {
			v, placed, volume, _ := seeded(t, c.o)
			d := must[Description](t)(v.Describe(t.Context(), placed))
			if len(d.Untold) != 1 || d.Untold[0].Fact != PolicyFacts || len(d.Tags) != 1 || d.Policy != nil || d.BackingUUID == "" {
				t.Fatalf("%+v", d)
			}
			wantKind(t, "policy", d.Untold[0].Err, c.kind, string(placed.ID()), c.policy)
			d = must[Description](t)(v.Describe(t.Context(), volume))
			if len(d.Untold) != 2 || d.Untold[1].Fact != LabelFacts || d.Volume == nil || d.Volume.Claim != "data-shop-0" || d.Volume.ClaimLabels != nil {
				t.Fatalf("%+v", d)
			}
			wantKind(t, "labels", d.Untold[1].Err, c.kind, string(volume.ID()), c.labels)
		})
	}
}

// Tags may be denied as well, and a denied call is made once.
func TestTagsDenied(t *testing.T) {
	v, placed, _, _ := seeded(t, lab.Options{})
	asked := 0
	interpose(v, func(req, _ soap.HasFault) (bool, error) {
		if called(req) != "ListTagsAttachedToVStorageObject" {
			return false, nil
		}
		asked++
		return true, refuse(types.NoPermission{PrivilegeId: "System.Read"})
	})
	d := must[Description](t)(v.Describe(t.Context(), placed))
	if asked != 1 || len(d.Untold) != 1 || d.Untold[0].Fact != TagFacts || d.Policy == nil {
		t.Fatalf("asked %d times: %+v", asked, d)
	}
	wantKind(t, "tags", d.Untold[0].Err, ivd.Denied, "grant System.Read")
}

// A service that fails for a while is asked again; one that goes on failing holds up
// no other disk.
func TestServicesThatFail(t *testing.T) {
	v, placed, _, _ := seeded(t, lab.Options{})
	var asked, fails atomic.Int32
	v.policies.calls = &script{v.policies.calls, func(req, _ soap.HasFault) (bool, error) {
		if _, ok := req.(*pbmmethods.PbmQueryAssociatedProfileBody); !ok {
			return false, nil
		}
		asked.Add(1)
		if fails.Add(-1) >= 0 {
			return true, refuse(pbmtypes.PbmFault{})
		}
		return false, nil
	}}
	fails.Store(2)
	d := must[Description](t)(v.Describe(t.Context(), placed))
	if asked.Swap(0) != 3 || d.Policy == nil || d.Untold != nil {
		t.Errorf("%+v", d)
	}
	fails.Store(100)
	for i, want := range []int32{int32(v.aside.again.Attempts), 1, 1} {
		d = must[Description](t)(v.Describe(t.Context(), placed))
		if n := asked.Swap(0); n != want || d.Policy != nil || len(d.Untold) != 1 {
			t.Errorf("disk %d: asked %d times, want %d: %+v", i, n, want, d.Untold)
		}
		wantKind(t, "policy", d.Untold[0].Err, ivd.Transient)
	}
	fails.Store(0)
	if d = must[Description](t)(v.Describe(t.Context(), placed)); d.Policy == nil || len(v.aside.failed) != 0 {
		t.Errorf("%+v", d)
	}
}

// A service that does not answer is waited for only so long, and a caller that stops
// is obeyed.
func TestServiceThatHangs(t *testing.T) {
	v, placed, _, _ := seeded(t, lab.Options{})
	v.aside.whole, v.aside.once = 50*time.Millisecond, 10*time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	hang := func(req, _ soap.HasFault) (bool, error) { return true, ivd.Errorf(ivd.Transient, "away") }
	v.aside.again.First, v.aside.again.Cap = time.Hour, time.Hour
	v.policies.calls = &script{v.policies.calls, hang}
	d := must[Description](t)(v.Describe(ctx, placed))
	if len(d.Untold) != 1 || !strings.Contains(d.Untold[0].Err.Error(), "away") {
		t.Errorf("%+v", d.Untold)
	}
	v.policies.calls = &script{v.policies.calls, func(req, res soap.HasFault) (bool, error) { cancel(); return hang(req, res) }}
	_, err := v.Describe(ctx, placed)
	wantKind(t, "a caller that stops", err, ivd.Cancelled)
}

// A policy's name is asked for once in a while, whatever its disks.
func TestPolicyNamesAreKept(t *testing.T) {
	v, placed, _, _ := seeded(t, lab.Options{})
	calls := map[string]int{}
	v.policies.calls = &script{v.policies.calls, func(req, _ soap.HasFault) (bool, error) { calls[called(req)]++; return false, nil }}
	for range 3 {
		must[Description](t)(v.Describe(t.Context(), placed))
	}
	if want := map[string]int{"PbmRetrieveServiceContent": 1, "PbmQueryAssociatedProfile": 3, "PbmRetrieveContent": 1}; !maps.Equal(calls, want) {
		t.Errorf("%v, want %v", calls, want)
	}
	id := labestate.Policies()[0].ID
	v.policies.names[id] = policyName{"old", time.Now().Add(-nameLife)}
	if d := must[Description](t)(v.Describe(t.Context(), placed)); d.Policy.Name != labestate.Policies()[0].Name {
		t.Errorf("%+v", d.Policy)
	}

	// A name that cannot be had leaves the id.
	clear(v.policies.names)
	v.policies.calls = &script{v.policies.calls, func(req, _ soap.HasFault) (bool, error) {
		if called(req) == "PbmRetrieveContent" {
			return true, refuse(pbmtypes.PbmFaultNoPermission{})
		}
		return false, nil
	}}
	d := must[Description](t)(v.Describe(t.Context(), placed))
	if d.Policy == nil || *d.Policy != (Policy{ID: id}) || len(d.Untold) != 1 {
		t.Fatalf("%+v", d)
	}
	wantKind(t, "name", d.Untold[0].Err, ivd.Denied, id, "StorageProfile.View")
}

// Disks that no container uses cost container storage no call.
func TestOnlyVolumesAreAskedFor(t *testing.T) {
	v, placed, volume, _ := seeded(t, lab.Options{})
	asked := 0
	v.containers.calls = &script{v.containers.calls, func(soap.HasFault, soap.HasFault) (bool, error) { asked++; return false, nil }}
	must[Description](t)(v.Describe(t.Context(), placed))
	must[Description](t)(v.Describe(t.Context(), volume))
	if asked != 1 {
		t.Errorf("%d calls", asked)
	}
}

// What container storage keeps with a disk is said by what it means, our own is left
// out, the rest stays as it is.
func TestVolumeOf(t *testing.T) {
	v, rest := volumeOf(map[string]string{
		cnsCluster: "c", cnsNamespace: "shop", cnsClaim: "web-1", cnsVolume: "pvc-1", "cns.tag": "t", "App": "1", "app": "2", "ivdmover.run": "r",
	})
	if want := (&Volume{Cluster: "c", Namespace: "shop", Claim: "web-1", Name: "pvc-1"}); !reflect.DeepEqual(v, want) {
		t.Errorf("%+v", v)
	}
	if !maps.Equal(rest, map[string]string{"cns.tag": "t", "App": "1", "app": "2"}) {
		t.Errorf("%v", rest)
	}
	if v, rest := volumeOf(map[string]string{"x": "y", "ivdmover.run": "r"}); v != nil || !maps.Equal(rest, map[string]string{"x": "y"}) {
		t.Errorf("%+v, %v", v, rest)
	}
	if v, rest := volumeOf(map[string]string{"cns.version": "3"}); v == nil || len(rest) != 1 {
		t.Errorf("%+v, %v", v, rest)
	}
}

// Which claim and which volume are meant is told by their names and cluster; without
// names, where there is one only.
func TestVolumeTells(t *testing.T) {
	entity := func(kind cnstypes.CnsKubernetesEntityType, cluster, namespace, name string) *cnstypes.CnsKubernetesEntityMetadata {
		return &cnstypes.CnsKubernetesEntityMetadata{
			CnsEntityMetadata: cnstypes.CnsEntityMetadata{EntityName: name, ClusterID: cluster, Labels: []types.KeyValue{{Key: "of", Value: cluster + namespace + name}}},
			EntityType:        string(kind), Namespace: namespace,
		}
	}
	const pv, pvc, pod = cnstypes.CnsKubernetesEntityTypePV, cnstypes.CnsKubernetesEntityTypePVC, cnstypes.CnsKubernetesEntityTypePOD
	m := cnstypes.CnsVolumeMetadata{
		ContainerCluster: cnstypes.CnsContainerCluster{ClusterId: "guest"},
		EntityMetadata: []cnstypes.BaseCnsEntityMetadata{
			entity(pv, "supervisor", "", "pv-s"), entity(pvc, "supervisor", "vms", "claim-s"),
			entity(pv, "guest", "", "pv-g"), entity(pvc, "guest", "shop", "claim"), entity(pvc, "guest", "test", "claim"), entity(pod, "guest", "shop", "web"),
		},
	}
	v := Volume{Cluster: "guest", Namespace: "test", Claim: "claim", Name: "pv-g"}
	v.tell(m)
	if v.ClaimLabels["of"] != "guesttestclaim" || v.Labels["of"] != "guestpv-g" {
		t.Errorf("%+v", v)
	}
	v = Volume{}
	v.tell(m) // two claims are called alike
	if v.Cluster != "guest" || v.Name != "pv-g" || v.Claim != "" || v.ClaimLabels != nil {
		t.Errorf("%+v", v)
	}
	v = Volume{Cluster: "supervisor"}
	v.tell(m)
	if v.Claim != "claim-s" || v.Namespace != "vms" || v.Labels["of"] != "supervisorpv-s" {
		t.Errorf("%+v", v)
	}
	v = Volume{Name: "renamed"}
	v.tell(m)
	if v.Labels != nil || v.Name != "renamed" {
		t.Errorf("%+v", v)
	}
}

// An answer about another volume is none.
func TestAnotherVolumesLabels(t *testing.T) {
	v, _, volume, _ := seeded(t, lab.Options{})
	v.containers.calls = &script{v.containers.calls, func(_, res soap.HasFault) (bool, error) {
		b := res.(*cnsmethods.CnsQueryVolumeBody)
		b.Res = &cnstypes.CnsQueryVolumeResponse{Returnval: cnstypes.CnsQueryResult{Volumes: []cnstypes.CnsVolume{{
			VolumeId: cnstypes.CnsVolumeId{Id: "another"}, Metadata: cnstypes.CnsVolumeMetadata{EntityMetadata: []cnstypes.BaseCnsEntityMetadata{
				&cnstypes.CnsKubernetesEntityMetadata{EntityType: "PERSISTENT_VOLUME", CnsEntityMetadata: cnstypes.CnsEntityMetadata{EntityName: "pvc-" + string(volume.ID()), Labels: []types.KeyValue{{Key: "a", Value: "b"}}}},
			}},
		}}}}
		return true, nil
	}}
	if d := must[Description](t)(v.Describe(t.Context(), volume)); d.Volume.Labels != nil || d.Untold != nil {
		t.Errorf("%+v", d.Volume)
	}
}

// The vCenter's certificate is checked wherever it is asked: these services are
// reached through the session's own connections.
func TestServicesShareTheTrust(t *testing.T) {
	v, placed, _, _ := seeded(t, lab.Options{})
	v.own.drop()
	known := v.own.trust.want
	v.own.trust.want = make([]byte, len(known))
	_, err := v.policies.of(t.Context(), placed.ID())
	wantKind(t, "policy of a stranger", err, ivd.Invalid, "thumbprint")
	_, err = methods.ListTagsAttachedToVStorageObject(t.Context(), v.client(), &types.ListTagsAttachedToVStorageObject{This: v.manager()})
	if err == nil {
		t.Error("a stranger was asked for tags")
	}
	v.own.trust.want = known
}
