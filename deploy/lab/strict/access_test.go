package strict_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/deploy/lab"
	"ivdmover/deploy/lab/script"
)

// PrepareForAccess without EndAccess is seen in the laboratory's report, whoever
// ends it, and is misuse once the laboratory has ended: until then somebody may.
func TestAccessThatNobodyEnds(t *testing.T) {
	w := newWorld(t, mib)
	w.failed = true
	must(t, lib.PrepareForAccess(t.Context(), w.at(""), "run 7"))
	left := w.lab.Report().Prepared
	if len(left) != 1 || left[0].Disk != w.disk.ID() || left[0].Identity != "run 7" {
		t.Fatalf("prepared: %+v", left)
	}
	must(t, lib.EndAccess(t.Context(), w.at(""), "run 7"))
	must(t, script.WriteFaults(w.dir, script.Fault{Call: "PrepareForAccess", Do: script.Code(3014)}))
	wantCode(t, lib.PrepareForAccess(t.Context(), w.at(""), "run 8"), 3014)
	if left := w.lab.Report().Prepared; len(left) != 1 || left[0].Identity != "run 8" {
		t.Fatalf("prepared: %+v", left)
	}
	if w.rules() != "" {
		t.Fatalf("misuses %q while somebody may end it", w.rules())
	}
	w.end()
	if list, err := script.Misuses(w.dir); err != nil || len(list) != 1 || list[0].Rule != script.EndAccess || !strings.Contains(list[0].Detail, `"run 8"`) {
		t.Fatalf("misuses %+v, %v", list, err)
	}
}

// A laboratory that was stopped and is started again is the same vCenter: access
// that is ended then was not forgotten.
func TestAccessIsEndedAfterARestart(t *testing.T) {
	w := newWorld(t, mib)
	must(t, lib.PrepareForAccess(t.Context(), w.at(""), "run 9"))
	w.end()
	u, err := url.Parse(w.lab.Ready().URL)
	must(t, err)
	restarted, err := lab.Start(t.Context(), lab.Options{Dir: w.dir, Listen: u.Host})
	must(t, err)
	w.lab = restarted // and ended with the test
	if w.rules() != "" {
		t.Fatalf("misuses %q", w.rules())
	}
	p, ready := w.at(""), restarted.Ready() // whose sessions have ended
	p.Cookie, p.User, p.Password = "", ready.Username, ready.Password
	must(t, lib.EndAccess(t.Context(), p, "run 9"))
}

// PrepareForAccess goes from machine to machine and stops at one that refuses: those
// before stay disabled, those after are not, until EndAccess follows.
func TestAccessStopsInTheMiddle(t *testing.T) {
	w := newWorld(t, mib)
	for _, n := range []int{0, 2, 1} { // a disk that lab-vm-2 tracks is refused by the others
		w.attach(n)
	}
	must(t, script.WriteHosts(w.dir, script.Hosts{AccessRefused: []string{"lab-vm-3"}}))
	wantCode(t, lib.PrepareForAccess(t.Context(), w.at(""), "run 7"), 3014)
	if got := w.lab.Report().Disabled; len(got) != 1 {
		t.Fatalf("disabled: %+v, want those of the first machine alone", got)
	}
	must(t, lib.EndAccess(t.Context(), w.at(""), "run 7"))
	if got := w.lab.Report(); len(got.Disabled)+len(got.Prepared) != 0 {
		t.Fatalf("after EndAccess: %+v", got)
	}
}

// Access is prepared to a machine as well, as programs that back machines up do: its
// methods are disabled until EndAccess, and those of no other machine.
func TestAccessToAMachine(t *testing.T) {
	w := newWorld(t, mib)
	vm := w.machine(1)
	p := w.of(vm, "", false)
	wantCode(t, lib.PrepareForAccess(t.Context(), w.of(object.NewVirtualMachine(w.client(), types.ManagedObjectReference{Type: "VirtualMachine", Value: "vm-none"}), "", false), "run 7"), 4000)
	must(t, lib.PrepareForAccess(t.Context(), p, "run 7"))
	r := w.lab.Report()
	if len(r.Disabled) != 1 || len(r.Prepared) != 1 || r.Prepared[0].Machine == "" || r.Prepared[0].Identity != "run 7" {
		t.Fatalf("disabled %+v, prepared %+v", r.Disabled, r.Prepared)
	}
	must(t, lib.EndAccess(t.Context(), p, "run 7"))
	if r := w.lab.Report(); len(r.Disabled)+len(r.Prepared) != 0 {
		t.Fatalf("after EndAccess: disabled %+v, prepared %+v", r.Disabled, r.Prepared)
	}
	must(t, script.WriteHosts(w.dir, script.Hosts{AccessRefused: []string{vm.Name()}}))
	wantCode(t, lib.PrepareForAccess(t.Context(), p, "run 8"), 3014)
	must(t, lib.EndAccess(t.Context(), p, "run 8"))
}
