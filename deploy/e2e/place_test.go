package e2e

import (
	"reflect"
	"strings"
	"testing"

	"ivdmover/deploy/lab/estate"
	"ivdmover/deploy/lab/owner"
)

// What a vCenter's other services keep of a disk is in its restore point, and shown.
func TestAPointSaysWhereItsDiskWasPlaced(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := newStage(t)
	d, err := s.Register(ctx, "datastore2", "data shop", sparse(1<<20, 0, 1<<16))
	must(t, err)
	gold := estate.Policies()[0]
	must(t, s.Owner.SetPolicy(ctx, d.Ref, gold.ID))
	must(t, s.Owner.Tag(ctx, d.Ref, "tier", "gold"))
	must(t, s.Owner.Bind(ctx, d.Ref, owner.Volume{Cluster: "prod", Namespace: "shop", Claim: "data-0", Name: "pvc-1", ClaimLabels: map[string]string{"app": "shop"}}))
	coordinator, _ := serve(t, s, "m1")
	backup(t, s, coordinator)

	var p struct {
		Name string `json:"name"`
		Was  struct {
			Policy map[string]string   `json:"storage_policy"`
			Tags   []map[string]string `json:"tags"`
			K8s    struct {
				PVC    string            `json:"pvc"`
				Labels map[string]string `json:"labels"`
			} `json:"kubernetes"`
		} `json:"was"`
	}
	must(t, s.Ask(ctx, &p, "point", "show", "data shop@latest"))
	if p.Name != "data shop" || p.Was.Policy["id"] != gold.ID || p.Was.Policy["name"] != gold.Name || p.Was.K8s.PVC != "data-0" || p.Was.K8s.Labels["app"] != "shop" {
		t.Errorf("%+v", p)
	}
	if !reflect.DeepEqual(p.Was.Tags, []map[string]string{{"category": "tier", "name": "gold"}}) {
		t.Errorf("tags %v", p.Was.Tags)
	}
	forPeople, _, err := s.Command(ctx, "point", "show", "data shop@latest")
	must(t, err)
	for _, want := range []string{gold.Name, "tier: gold", "shop/data-0", "app=shop"} {
		if !strings.Contains(forPeople, want) {
			t.Errorf("%s\nhas no %q", forPeople, want)
		}
	}
}
