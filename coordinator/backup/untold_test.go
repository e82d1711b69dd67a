package backup_test

import (
	"bytes"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/deploy/lab"
	"ivdmover/deploy/lab/estate"
	"ivdmover/deploy/lab/owner"
	"ivdmover/deploy/lab/vcenter"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

var shop = owner.Volume{
	Cluster: "prod", Namespace: "shop", Claim: "data-0", Name: "pvc-1",
	ClaimLabels: map[string]string{"app": "shop", "App": "Shop"}, Labels: map[string]string{"zone": "a"},
}

// A point says where its disk was placed, by what it was tagged, whom it was attached
// to, and what a cluster called it.
func TestPlaceInAPoint(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	gold := estate.Policies()[0]
	b.Must(b.Owner.SetPolicy(t.Context(), d.Ref, gold.ID))
	b.Must(b.Owner.Tag(t.Context(), d.Ref, "tier", "gold"))
	b.Must(b.Owner.Tag(t.Context(), d.Ref, "owner", "gold"))
	b.Must(b.Owner.Bind(t.Context(), d.Ref, shop))
	b.Must(b.Owner.Attach(t.Context(), d.Ref, 0))
	b.Mover("m1")
	s, _ := b.Serving("one")
	v := b.Until(s, b.Begin(s, backup.Request{All: true}).ID, coordtest.Ended)
	p, _, err := b.Repo.ReadPoint(t.Context(), b.Backup(v.Items[0]).Point)
	b.Must(err)
	x := p.Disk
	if x.Policy == nil || *x.Policy != (format.StoragePolicy{ID: gold.ID, Name: gold.Name}) {
		t.Errorf("policy %+v", x.Policy)
	}
	if !reflect.DeepEqual(x.Tags, []format.Tag{{Category: "owner", Name: "gold"}, {Category: "tier", Name: "gold"}}) {
		t.Errorf("tags %+v", x.Tags)
	}
	if want := (&format.Kubernetes{
		Cluster: "prod", Namespace: "shop", PVC: "data-0", PV: "pvc-1", VolumeHandle: string(d.Ref.ID()),
		Labels: []format.Pair{{Key: "App", Value: "Shop"}, {Key: "app", Value: "shop"}}, PVLabels: []format.Pair{{Key: "zone", Value: "a"}},
	}); !reflect.DeepEqual(x.Kubernetes, want) {
		t.Errorf("Kubernetes %+v", x.Kubernetes)
	}
	if !reflect.DeepEqual(x.Metadata, []format.Pair{{Key: "cns.containerCluster.clusterType", Value: "KUBERNETES"}}) {
		t.Errorf("metadata %+v", x.Metadata)
	}
	if len(x.Attachments) != 1 || x.ControllerType != "ParaVirtualSCSIController" || x.BackingUUID == "" || x.Provisioning != "thin" {
		t.Fatalf("%+v", x)
	}
	if a := x.Attachments[0]; a.VM != estate.InstanceUUID("lab-vm-1") || a.Name != "lab-vm-1" || a.Controller != "ParaVirtualSCSIController 0" || a.Unit == nil || a.Mode != "persistent" {
		t.Errorf("%+v", a)
	}
}

// An account that may see neither policies nor volumes has its disks backed up: each
// run says once of which facts its points are without.
func TestFactsThatAreNotTold(t *testing.T) {
	t.Parallel()
	b := coordtest.NewWith(t, lab.Options{Lacks: []string{vcenter.ViewPolicies, vcenter.SearchCNS}})
	for _, name := range []string{"a", "b", "c"} {
		b.Must(b.Owner.Bind(t.Context(), b.Disk(name, 8).Ref, shop))
	}
	b.Mover("m1")
	s := b.Coordinator("one")
	var log lines
	s.Backup.Log = slog.New(slog.NewTextHandler(&log, nil))
	b.Serve(s)
	for run := range 2 {
		v := b.Until(s, b.Begin(s, backup.Request{All: true}).ID, coordtest.Ended)
		if v.State != engine.Done || len(v.Items) != 3 {
			t.Fatalf("%s: %+v", v.State, v.Items)
		}
		p, _, err := b.Repo.ReadPoint(t.Context(), b.Backup(v.Items[0]).Point)
		b.Must(err)
		if k := p.Disk.Kubernetes; p.Disk.Policy != nil || k == nil || k.PVC != "data-0" || k.Labels != nil {
			t.Errorf("%+v, %+v", p.Disk.Policy, k)
		}
		warnings := log.of(v.ID)
		if len(warnings) != 2 {
			t.Fatalf("run %d warned: %q", run, warnings)
		}
		all := strings.Join(warnings, "")
		for _, want := range []string{"grant StorageProfile.View", "grant Cns.Searchable"} {
			if !strings.Contains(all, want) || strings.Count(all, "level=WARN") != 2 || strings.Count(all, "vcenter=lab") != 2 {
				t.Errorf("warnings %s", all)
			}
		}
		s.Clock.Advance(time.Second) // points are named by the second
	}
}

// lines is what was logged, by many at once.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// of are the lines of a run that tell of facts.
func (l *lines) of(run ivd.RunID) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(line, "run="+string(run)) && strings.Contains(line, "asking for a fact failed") {
			found = append(found, line)
		}
	}
	return found
}
