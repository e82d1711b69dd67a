package lab_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vmware/govmomi/vim25/types"
	"go.uber.org/goleak"

	"ivdmover/deploy/lab"
	"ivdmover/shared/ivd"
	"ivdmover/shared/soak"
)

// childEnv makes the test's binary a laboratory in the foreground, for a folder.
const childEnv = "IVD_TEST_LAB_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func child(dir string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return lab.Run(ctx, lab.Options{Dir: dir}, func(r lab.Ready) {
		_ = json.NewEncoder(os.Stdout).Encode(r)
	})
}

// process is a laboratory of another process.
type process struct {
	t *testing.T
	c *exec.Cmd
	lab.Ready
}

func startProcess(t *testing.T, dir string) *process {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	p := &process{t: t, c: exec.CommandContext(t.Context(), exe)}
	p.c.Env = append(os.Environ(), childEnv+"="+dir)
	p.c.Stderr = os.Stderr
	out, err := p.c.StdoutPipe()
	must(t, err)
	must(t, p.c.Start())
	line, err := bufio.NewReader(out).ReadBytes('\n')
	must(t, err)
	must(t, json.Unmarshal(line, &p.Ready))
	return p
}

func (p *process) kill() {
	p.t.Helper()
	must(p.t, p.c.Process.Kill())
	_ = p.c.Wait() // killed
}

// connect makes a world of a laboratory that another process serves.
func (p *process) connect(dir string) *world {
	w := &world{t: p.t, o: lab.Options{Dir: dir}, ready: p.Ready}
	w.connect()
	return w
}

// inventory is what must be the same after a restart.
func (w *world) inventory() map[string]any {
	w.t.Helper()
	all := map[string]any{"thumbprint": w.ready.Thumbprint, "password": w.ready.Password, "vcenter": w.c.ServiceContent.About.InstanceUuid}
	for name, ref := range w.ds {
		all[name] = ref
		ids, err := w.m.List(w.t.Context(), ref)
		must(w.t, err)
		for _, id := range ids {
			all[id.Id] = w.retrieve(name, ivd.DiskID(id.Id))
			s, err := w.m.RetrieveSnapshotInfo(w.t.Context(), ref, id.Id)
			must(w.t, err)
			all[id.Id+" snapshots"] = *s
			for vm := range w.vms {
				if d := w.device(vm, ivd.DiskID(id.Id)); d != nil {
					all[vm+id.Id] = *d
				}
			}
		}
	}
	for name, vm := range w.vms {
		state, err := vm.PowerState(w.t.Context())
		must(w.t, err)
		all[name] = fmt.Sprint(vm.Reference(), state, w.disabled(name))
	}
	return all
}

func TestTheSameAfterAKill(t *testing.T) {
	dir := t.TempDir()
	p := startProcess(t, dir)
	w := p.connect(dir)
	a := w.create("datastore1", "a", 3)
	odd := w.register("datastore2", "odd", []byte("odd"), 1<<20+512)
	w.track("datastore2", odd)
	snapshot := w.snapshot("datastore2", odd, "run 7")
	since := w.changeID("datastore2", odd, snapshot)
	w.write(odd, 70000, 1, 10)
	w.attach("lab-vm-1", "datastore1", a)
	w.attach("lab-vm-3", "datastore1", a)
	must(t, w.access("datastore1", a, "prepare", "run-7"))
	task, err := w.vms["lab-vm-2"].PowerOff(t.Context())
	w.do(task, err)
	want := w.inventory()
	w.c.CloseIdleConnections()
	p.kill()

	p = startProcess(t, dir)
	defer p.kill()
	w = p.connect(dir)
	defer w.c.CloseIdleConnections()
	got := w.inventory()
	for k, x := range want {
		if !reflect.DeepEqual(got[k], x) {
			t.Errorf("%s was %+v, is %+v", k, x, got[k])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d things were there, %d are", len(want), len(got))
	}
	second := w.snapshot("datastore2", odd, "run 8")
	info, err := w.areas("datastore2", odd, second, since, 0)
	must(t, err)
	if len(info.ChangedArea) != 1 || info.ChangedArea[0].Start != 64<<10 {
		t.Errorf("changed areas %+v", info.ChangedArea)
	}
	must(t, w.access("datastore1", a, "end", "run-7"))
	if w.disabled("lab-vm-1") {
		t.Error("relocation is still disabled")
	}
	r, err := lab.Audit(t.Context(), p.Ready)
	must(t, err)
	if len(r.Snapshots) != 2 || len(r.Disabled) != 0 {
		t.Errorf("report %+v", r)
	}
	r2 := p.Ready
	r2.Thumbprint = strings.Replace(r2.Thumbprint, r2.Thumbprint[:2], "00", 1)
	if _, err := lab.Audit(t.Context(), r2); err == nil && r2.Thumbprint != p.Thumbprint {
		t.Error("a wrong thumbprint was trusted")
	}
}

// TestKilledWhileItDeletes kills a laboratory at random moments while a snapshot
// is deleted and a guest writes: the snapshots that are left read as ever.
func TestKilledWhileItDeletes(t *testing.T) {
	dir := t.TempDir()
	const store, size = "datastore1", 16
	p := startProcess(t, dir)
	w := p.connect(dir)
	id := w.create(store, "a", size)
	known := map[string][]byte{}
	r := rand.New(rand.NewPCG(1, 2))
	for round := range soak.Times(3) {
		for len(known) < 3 {
			w.write(id, r.Int64N(4<<20), r.Uint64(), 10<<20)
			s := w.snapshot(store, id, fmt.Sprint("round ", round))
			known[s] = w.read(store, id, s)
		}
		list, err := w.m.RetrieveSnapshotInfo(t.Context(), w.ds[store], string(id))
		must(t, err)
		_, err = w.m.DeleteSnapshot(t.Context(), w.ds[store], string(id), list.Snapshots[1].Id.Id)
		must(t, err)
		<-time.After(time.Duration(r.Int64N(int64(40 * time.Millisecond))))
		w.c.CloseIdleConnections()
		p.kill()

		p = startProcess(t, dir)
		w = p.connect(dir)
		list, err = w.m.RetrieveSnapshotInfo(t.Context(), w.ds[store], string(id))
		must(t, err)
		left := map[string][]byte{}
		for _, s := range list.Snapshots {
			left[s.Id.Id] = known[s.Id.Id]
			if !bytes.Equal(w.read(store, id, s.Id.Id), known[s.Id.Id]) {
				t.Fatalf("round %d: snapshot %s changed", round, s.Id.Id)
			}
		}
		if len(left) < 2 {
			t.Fatalf("round %d: %d snapshots are left", round, len(left))
		}
		known = left
	}
	w.c.CloseIdleConnections()
	p.kill()
}

func TestALoginThatIsNotUsedEnds(t *testing.T) {
	w := newWorld(t, lab.Options{LoginIdle: 200 * time.Millisecond})
	for w.lab.Report().Logins > 0 {
		<-time.After(10 * time.Millisecond)
	}
	_, err := w.m.List(t.Context(), w.ds["datastore1"])
	wantFault(t, err, &types.NotAuthenticated{})
	w.connect()
}

func TestATwoTebibyteImageOverTheAPI(t *testing.T) {
	w := newWorld(t, lab.Options{})
	start := time.Now()
	const store, size = "datastore1", 2 << 40
	id := w.register(store, "huge", []byte("the beginning"), size)
	w.track(store, id)
	w.write(id, size-100, 1, 100)
	first := w.snapshot(store, id, "one")
	w.write(id, 1<<40, 1, 100)
	second := w.snapshot(store, id, "two")
	info, err := w.areas(store, id, second, w.changeID(store, id, first), 0)
	must(t, err)
	if len(info.ChangedArea) != 1 || info.Length != size {
		t.Fatalf("changed areas %+v", info)
	}
	info, err = w.areas(store, id, second, "*", 0)
	must(t, err)
	if len(info.ChangedArea) != 3 {
		t.Fatalf("areas in use %+v", info)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Fatalf("took %v", took)
	}
}
