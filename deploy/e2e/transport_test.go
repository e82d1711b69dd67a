package e2e

import (
	"slices"
	"strings"
	"testing"

	"ivdmover/deploy/lab/estate"
	"ivdmover/deploy/lab/script"
	"ivdmover/deploy/stage"
	"ivdmover/shared/job"
)

// moved is what a run tells of how a disk was moved.
type moved struct {
	Name       string        `json:"name"`
	Transports []string      `json:"transports"`
	Refused    []job.Refusal `json:"refused"`
}

func howMoved(t *testing.T, s *stage.Stage, run string) map[string]moved {
	t.Helper()
	var shown struct {
		Disks []moved `json:"disks"`
	}
	must(t, s.Ask(t.Context(), &shown, "run", "show", run))
	all := map[string]moved{}
	for _, d := range shown.Disks {
		all[d.Name] = d
	}
	return all
}

// A mover in a VM of the vCenter, on a host that sees one datastore's LUN: what the
// vCenter knows and what the mover knows meet, and each disk goes by the best way that
// serves; why the others do not is told.
func TestTransportsByWhatHostAndDiskAllow(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := newStage(t)
	const vm = "lab-vm-3"
	s.Config.Transports, s.Config.BIOSUUID, s.Config.LUNs = "san, hotadd, nbdssl", estate.BIOSUUID(vm), estate.LUN("datastore1")
	must(t, script.WriteHosts(s.Path("lab"), script.Hosts{Proxies: []script.Proxy{{BIOSUUID: estate.BIOSUUID(vm), VM: vm, FreeSlots: 4, LUNs: []string{"datastore1"}}}}))
	flats := map[string]string{}
	for name, store := range map[string]string{"on-lun": "datastore1", "elsewhere": "datastore2"} {
		d, err := s.Register(ctx, store, name, sparse(24<<20+512, 23<<20))
		must(t, err)
		must(t, s.GuestWrites(ctx, d, 0, 20<<20, len(name))) // as much as a measure takes
		flats[name], err = s.Flat(d)
		must(t, err)
	}
	coordinator, _ := serve(t, s, "m1")
	r := backup(t, s, coordinator)
	how := howMoved(t, s, r.ID)
	if got := how["on-lun"]; !slices.Equal(got.Transports, []string{"san"}) || len(got.Refused) != 0 {
		t.Errorf("on-lun: %+v", got)
	}
	got := how["elsewhere"]
	if !slices.Equal(got.Transports, []string{"hotadd"}) || len(got.Refused) != 1 || got.Refused[0].Transport != "san" || !strings.Contains(got.Refused[0].Reason, "LUN") {
		t.Errorf("elsewhere: %+v", got)
	}
	for name, flat := range flats {
		restoreAndCompare(t, s, coordinator, r.Disk(name).Point, name+"-back", flat)
	}

	var movers []job.Mover
	must(t, s.Ask(ctx, &movers, "movers"))
	if len(movers) != 1 || movers[0].BIOSUUID != estate.BIOSUUID(vm) || !slices.Equal(movers[0].LUNs, []string{estate.LUN("datastore1")}) {
		t.Errorf("%+v", movers)
	}
	must(t, coordinator.Await(ctx, "heartbeats tell how fast the datastores are", limit, func() bool {
		rates := map[string]bool{}
		if s.Quietly(ctx, &movers, "movers") != nil || len(movers) != 1 {
			return false
		}
		for _, p := range movers[0].Paths {
			if p.ReadRate > 0 {
				rates[p.Transport] = true
			}
		}
		return rates["san"] && rates["hotadd"]
	}))
	nothingLeft(t, s)
	misuses, err := script.Misuses(s.Path("lab"))
	must(t, err)
	for _, m := range misuses {
		t.Errorf("a rule of the library was broken: %+v", m)
	}
}
