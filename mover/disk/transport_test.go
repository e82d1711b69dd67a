package disk

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ivdmover/deploy/lab/script"
	"ivdmover/mover/disk/disktest"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/vddk"
)

func TestWhatRulesATransportOut(t *testing.T) {
	vm := Machine{VM: true, BIOSUUID: "abc", LUNs: []string{"naa.1"}}
	for _, c := range []struct {
		name    string
		machine Machine
		write   bool
		allows  *job.Allows
		keep    string
	}{
		{"nothing is known", vm, false, nil, "san hotadd nbdssl nbd"},
		{"no VM", Machine{}, false, nil, "san nbdssl nbd"},
		{"a restore", vm, true, nil, "hotadd nbdssl nbd"},
		{"to a thin disk", vm, true, &job.Allows{Thin: true}, "hotadd nbdssl nbd"},
		{"vSAN", vm, false, &job.Allows{DatastoreType: "vsan"}, "hotadd nbdssl nbd"},
		{"NFS", vm, false, &job.Allows{DatastoreType: "NFS41"}, "hotadd nbdssl nbd"},
		{"VMFS", vm, false, &job.Allows{DatastoreType: "VMFS"}, "san hotadd nbdssl nbd"},
		{"encrypted", vm, false, &job.Allows{Encrypted: true}, "nbdssl"},
		{"encrypted, a proxy that is too", vm, false, &job.Allows{Encrypted: true, Placement: true, ProxyVMs: []string{"abc"}}, "hotadd nbdssl"},
		{"encrypted, no proxy that is", vm, false, &job.Allows{Encrypted: true, Placement: true}, "nbdssl"},
		{"its LUN", vm, false, &job.Allows{LUNs: []string{"naa.0", "NAA.1"}}, "san hotadd nbdssl nbd"},
		{"another LUN", vm, false, &job.Allows{LUNs: []string{"naa.2"}}, "hotadd nbdssl nbd"},
		{"a proxy", vm, false, &job.Allows{Placement: true, ProxyVMs: []string{"ABC"}}, "san hotadd nbdssl nbd"},
		{"another proxy", vm, false, &job.Allows{ProxyVMs: []string{"def"}}, "san nbdssl nbd"},
		{"no proxy at all", vm, false, &job.Allows{Placement: true}, "san nbdssl nbd"},
		{"a VM that does not know itself", Machine{VM: true}, false, &job.Allows{ProxyVMs: []string{"abc"}}, "san nbdssl nbd"},
	} {
		keep, refused := choose([]string{"file", "san", "hotadd", "nbdssl", "nbd"}, c.machine, wanted{c.write, c.allows})
		if got := strings.Join(keep, " "); got != c.keep {
			t.Errorf("%s: %s, want %s", c.name, got, c.keep)
		}
		if len(keep)+len(refused) != 5 || slices.ContainsFunc(refused, func(r job.Refusal) bool { return r.Reason == "" }) {
			t.Errorf("%s: refused %+v", c.name, refused)
		}
	}
}

// A host that can write to nothing, whatever it is, says why.
func TestAHostThatCannotWrite(t *testing.T) {
	vm := Machine{VM: true, BIOSUUID: "abc"}
	for _, c := range []struct {
		modes   []string
		machine Machine
		missing []string
		want    string
	}{
		{[]string{"san", "nbdssl"}, Machine{}, nil, ""},
		{[]string{"hotadd"}, vm, nil, ""},
		{[]string{"san"}, vm, nil, "writing over SAN"},
		{[]string{"san", "hotadd"}, Machine{}, nil, "this machine is no VM"},
		{[]string{"nbdssl"}, vm, []string{"Flush"}, "has no VixDiskLib_Flush"},
		{[]string{"nbdssl"}, vm, []string{"Cleanup"}, ""},
	} {
		h, _ := fake(t, c.modes, c.machine, nil)
		h.missing = c.missing
		if got := h.CannotWrite(); !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%v without %v: %q, want %q", c.modes, c.missing, got, c.want)
		}
	}
}

func TestNoTransportLeftIsSaidWithTheReasons(t *testing.T) {
	h, asked := fake(t, []string{"san", "hotadd"}, Machine{}, nil)
	_, err := h.Open(t.Context(), Spec{Allows: &job.Allows{DatastoreType: "VVOL"}})
	if ivd.KindOf(err) != ivd.Unsupported || len(*asked) > 0 || !strings.Contains(err.Error(), "VVOL") || !strings.Contains(err.Error(), "no VM") {
		t.Errorf("%v, asked %v", err, *asked)
	}
}

func TestAFailedPathIsLeftAloneForAWhile(t *testing.T) {
	bad := failure(vddk.Locked)
	h, asked := fake(t, []string{"hotadd", "nbdssl"}, Machine{VM: true}, map[string][]error{"hotadd": {bad, bad}})
	now := time.Unix(1e9, 0)
	h.paths.now = func() time.Time { return now }
	open := func(ds ivd.DatastoreID, want ...string) {
		t.Helper()
		*asked = nil
		d, err := h.Open(t.Context(), Spec{Disk: job.IVD(ivd.NewDiskRef("", ds, ""))})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(*asked, want) {
			t.Errorf("asked %v, want %v", *asked, want)
		}
		if len(want) == 2 || want[0] == "nbdssl" {
			if r := d.Refused(); len(r) != 1 || r[0].Transport != "hotadd" || !strings.Contains(r[0].Reason, "locked") {
				t.Errorf("refused %+v", r)
			}
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	open("ds-1", "hotadd", "nbdssl")
	open("ds-1", "nbdssl")
	if p := h.Facts().Paths; !slices.ContainsFunc(p, func(q job.Path) bool {
		return q.Transport == "hotadd" && q.CoolUntil.Equal(now.Add(time.Minute)) && strings.Contains(q.Reason, "locked")
	}) {
		t.Errorf("paths %+v", p)
	}
	now = now.Add(61 * time.Second)
	open("ds-1", "hotadd", "nbdssl") // once more, and now for two minutes
	now = now.Add(100 * time.Second)
	open("ds-1", "nbdssl")
	open("ds-2", "hotadd") // another datastore is another path
	now = now.Add(time.Minute)
	open("ds-1", "hotadd")
}

func TestCoolingGrowsAndEnds(t *testing.T) {
	ref := ivd.NewDiskRef("vc", "ds", "")
	p, at := newPaths(), pathOf(ref, "san")
	now := time.Unix(1e9, 0)
	p.now = func() time.Time { return now }
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30, 30} {
		p.fail(at, "why")
		p.fail(at, "again") // of the same time
		if got := p.of[at].until.Sub(now); got != want*time.Minute {
			t.Errorf("%s, want %d minutes", got, want)
		}
		now = now.Add(want * time.Minute)
	}
	p.fail(at, "why")
	if keep, refused := p.order(ref, []string{"san", "nbdssl"}); !slices.Equal(keep, []string{"nbdssl"}) || len(refused) != 1 {
		t.Errorf("%v, %v", keep, refused)
	}
	p.fail(pathOf(ref, "nbdssl"), "why") // nothing is left: what is warm first is tried first
	if keep, refused := p.order(ref, []string{"san", "nbdssl"}); !slices.Equal(keep, []string{"nbdssl", "san"}) || len(refused) != 0 {
		t.Errorf("%v, %v", keep, refused)
	}
	// Another vCenter's datastore may have the same id.
	if keep, refused := p.order(ivd.NewDiskRef("other", "ds", ""), []string{"san"}); !slices.Equal(keep, []string{"san"}) || len(refused) != 0 {
		t.Errorf("%v, %v", keep, refused)
	}
	p.work(at, false, 100<<20, time.Second)
	p.work(at, false, 200<<20, time.Second)
	p.work(at, true, 1, time.Second) // too little to tell
	if l := p.list(); l[1].ReadRate != 125<<20 || l[1].WriteRate != 0 || !l[1].CoolUntil.IsZero() {
		t.Errorf("%+v", l)
	}
}

// What a process left attached when it died is released before the first disk of
// the next one is opened.
func TestADeadProcessIsCleanedUpAfter(t *testing.T) {
	dir := t.TempDir()
	refs, _, cookie, v := labDisks(t, startLab(t, dir, 1))
	snapshot, err := v.CreateSnapshot(t.Context(), refs[0], "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := script.WriteHosts(dir, script.Hosts{Proxies: []script.Proxy{{BIOSUUID: disktest.Proxy, VM: "lab-vm-1", FreeSlots: 1}}}); err != nil {
		t.Fatal(err)
	}
	marks := func() []string {
		list, err := filepath.Glob(filepath.Join(dir, "hotadd", "*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	open := func(allows *job.Allows) *Disk {
		t.Helper()
		h, err := NewHost(lib, Options{Transports: []string{"hotadd", "nbdssl"}, Machine: ThisMachine(disktest.Proxy, []string{})})
		if err != nil {
			t.Fatal(err)
		}
		d, err := h.Open(t.Context(), Spec{Disk: job.IVD(refs[0]), Snapshot: snapshot, Login: cookie, Allows: allows})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	d := open(nil)
	held := marks()
	if len(held) != 1 {
		t.Fatalf("marks %v", held)
	}
	text, err := os.ReadFile(held[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil || len(marks()) != 0 {
		t.Fatalf("%v, marks %v", err, marks())
	}
	dead := regexp.MustCompile(`(?m)^pid=.*$`).ReplaceAll(text, []byte("pid=4194305"))
	if err := os.WriteFile(held[0], dead, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(nil).Close(); err != nil || len(marks()) != 0 { // the only slot, for the same snapshot
		t.Errorf("%v, marks %v", err, marks())
	}
	// What is attached takes the last slot, so vCenter says that this VM has none.
	if err := os.WriteFile(held[0], dead, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(&job.Allows{Placement: true}).Close(); err != nil || len(marks()) != 0 {
		t.Errorf("without a slot: %v, marks %v", err, marks())
	}
	if err := v.DeleteSnapshot(t.Context(), refs[0], snapshot); err != nil {
		t.Error(err)
	}
}

// Every transport of the laboratory brings the same bytes.
func TestTransportsOfTheLaboratory(t *testing.T) {
	dir := t.TempDir()
	l := startLab(t, dir, 2)
	refs, _, cookie, v := labDisks(t, l)
	snapshots := make([]ivd.SnapshotID, len(refs))
	for i, ref := range refs {
		var err error
		if snapshots[i], err = v.CreateSnapshot(t.Context(), ref, "test"); err != nil {
			t.Fatal(err)
		}
	}
	h, err := NewHost(lib, Options{Transports: []string{"san", "hotadd", "nbdssl"}, Machine: ThisMachine(disktest.Proxy, []string{})})
	if err != nil {
		t.Fatal(err)
	}
	open := func(i int, want string) *Disk {
		t.Helper()
		d, err := h.Open(t.Context(), Spec{Disk: job.IVD(refs[i]), Snapshot: snapshots[i], Login: cookie})
		if err != nil {
			t.Fatal(err)
		}
		if d.Transport() != want {
			t.Fatalf("opened by %s, want %s: %+v", d.Transport(), want, d.Refused())
		}
		return d
	}
	read := func(d *Disk) []byte {
		t.Helper()
		buf := h.Alloc(8 << 20)
		defer buf.Free()
		if err := d.ReadAt(t.Context(), buf.Bytes(), 0); err != nil {
			t.Fatal(err)
		}
		return bytes.Clone(buf.Bytes())
	}
	hosts := func(p script.Proxy) {
		t.Helper()
		p.BIOSUUID = disktest.Proxy
		if err := script.WriteHosts(dir, script.Hosts{Proxies: []script.Proxy{p}}); err != nil {
			t.Fatal(err)
		}
		h.paths = newPaths() // what failed may work now
	}
	hosts(script.Proxy{VM: "lab-vm-1", FreeSlots: 1})
	first := open(0, "hotadd")
	second := open(1, "nbdssl") // no slot is left
	if len(second.Refused()) != 2 {
		t.Errorf("refused %+v", second.Refused())
	}
	byHotAdd, byNBD := read(first), read(second)
	if err := errors.Join(first.Close(), second.Close()); err != nil {
		t.Fatal(err)
	}
	hosts(script.Proxy{LUNs: []string{"datastore1", "datastore2"}})
	first, second = open(0, "san"), open(1, "san")
	if !bytes.Equal(read(first), byHotAdd) || !bytes.Equal(read(second), byNBD) || len(bytes.Trim(byNBD, "\x00")) == 0 {
		t.Error("the transports differ")
	}
	if err := errors.Join(first.Close(), second.Close()); err != nil {
		t.Fatal(err)
	}
	for i, ref := range refs {
		if err := v.DeleteSnapshot(t.Context(), ref, snapshots[i]); err != nil {
			t.Error(err)
		}
	}
}

// A library that is asked for SAN or HotAdd alone may use NBDSSL instead, without an
// error. What it says that it uses is believed, and nothing else.
func TestATransportThatTheLibraryReplaces(t *testing.T) {
	dir, folder := t.TempDir(), t.TempDir()
	refs, _, cookie, v := labDisks(t, startLab(t, dir, 1))
	snapshot, err := v.CreateSnapshot(t.Context(), refs[0], "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := script.WriteHosts(dir, script.Hosts{QuietFallback: true}); err != nil {
		t.Fatal(err)
	}
	spec := Spec{Disk: job.IVD(refs[0]), Snapshot: snapshot, Login: cookie}
	host := func(transports ...string) *Host {
		t.Helper()
		h, err := NewHost(lib, Options{Transports: transports, Machine: Machine{VM: true, BIOSUUID: disktest.Proxy}, Folder: folder})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	h := host("san", "hotadd", "nbdssl")
	d, err := h.Open(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	want := []job.Refusal{
		{Transport: "san", Reason: "asked for san, the library used nbdssl"},
		{Transport: "hotadd", Reason: "asked for hotadd, the library used nbdssl"},
	}
	if d.Transport() != "nbdssl" || !slices.Equal(d.Refused(), want) {
		t.Errorf("opened by %s, refused %+v", d.Transport(), d.Refused())
	}
	if left := h.Left(); len(left) != 0 {
		t.Errorf("noted as attached: %+v", left)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	for _, mode := range []string{"san", "hotadd"} {
		d, err := host(mode).Open(t.Context(), spec)
		if err == nil {
			t.Errorf("%s alone: opened by %s", mode, d.Transport())
			_ = d.Close()
			continue
		}
		if ivd.KindOf(err) != ivd.Unsupported || !strings.Contains(err.Error(), "the library used nbdssl") || ivd.RemedyOf(err) == "" {
			t.Errorf("%s alone: %v, %q", mode, err, ivd.RemedyOf(err))
		}
	}
	if err := v.DeleteSnapshot(t.Context(), refs[0], snapshot); err != nil {
		t.Error(err)
	}
}
