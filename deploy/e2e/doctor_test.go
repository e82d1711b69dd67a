package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"ivdmover/deploy/lab/estate"
	"ivdmover/deploy/lab/owner"
	"ivdmover/deploy/lab/script"
	"ivdmover/deploy/stage"
)

// doctorReport is what is looked at of `ivd-mover doctor -o json`.
type doctorReport struct {
	Disk struct {
		ID, Snapshot string
		Capacity     int64
		VSphere      struct {
			Coordinator, VCenter, Name, Datastore string
			DatastoreType                         string   `json:"datastore_type"`
			AttachedTo                            []string `json:"attached_to"`
			ProxyVMs                              []string `json:"proxy_vms"`
			Capacity                              int64
			SnapshotMade                          bool `json:"snapshot_made"`
		}
	}
	Transports []struct {
		Name, Reason string
		Works        bool
	}
	Checks []struct {
		Name, Detail string
		Good         bool
	}
}

func (r doctorReport) bad() (names []string) {
	for _, c := range r.Checks {
		if !c.Good {
			names = append(names, c.Name+": "+c.Detail)
		}
	}
	return names
}

func doctor(t *testing.T, s *stage.Stage, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), s.Program("ivd-mover"), append([]string{"doctor", "--config", s.ConfigFile()}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env = append(os.Environ(), script.ProxyVariable+"="+s.Config.BIOSUUID)
	return cmd
}

// running is a disk of a running virtual machine, and a coordinator without movers.
func running(t *testing.T, mib int64, transports string) (*stage.Stage, owner.Disk, *stage.Process) {
	t.Helper()
	ctx := t.Context()
	s := newStage(t)
	const vm = "lab-vm-3"
	s.Config.Transports, s.Config.BIOSUUID = transports, estate.BIOSUUID(vm)
	must(t, script.WriteHosts(s.Path("lab"), script.Hosts{Proxies: []script.Proxy{{BIOSUUID: estate.BIOSUUID(vm), VM: vm, FreeSlots: 4}}}))
	d, err := s.Owner.Create(ctx, "datastore1", "database", mib)
	must(t, err)
	must(t, s.GuestWrites(ctx, d, 0, 4<<20, 1))
	must(t, s.Owner.Attach(ctx, d.Ref, 0))
	coordinator, _ := serve(t, s)
	return s, d, coordinator
}

// The configuration of a mover and a disk's name are all that it takes: the disk of a
// running virtual machine is read from a snapshot, which is gone afterwards.
func TestDoctorNeedsTheConfigurationAndADisk(t *testing.T) {
	t.Parallel()
	s, d, _ := running(t, 16, "san, hotadd, nbdssl")
	for _, name := range []string{"database", string(d.Ref.ID()), string(d.Ref.ID())[:12]} {
		cmd := doctor(t, s, "--disk", name, "-o", "json")
		var words bytes.Buffer
		cmd.Stderr = &words
		out, err := cmd.Output()
		var r doctorReport
		if e := json.Unmarshal(out, &r); e != nil || err != nil || words.Len() > 0 {
			t.Fatalf("%v, %v: %s%s", err, e, out, &words)
		}
		v := r.Disk.VSphere
		if r.Disk.ID != string(d.Ref.ID()) || r.Disk.Capacity != 16<<20 || r.Disk.Snapshot == "" || v.Name != "database" || v.Datastore != "datastore1" ||
			v.DatastoreType != "VMFS" || len(v.AttachedTo) != 1 || len(v.ProxyVMs) != 1 || v.Capacity != 16<<20 || !v.SnapshotMade || v.Coordinator == "" || !strings.HasPrefix(v.VCenter, "lab ") {
			t.Errorf("%+v", r.Disk)
		}
		for i, works := range []bool{false, true, true} {
			if tr := r.Transports[i]; tr.Works != works || (tr.Reason == "") != works || strings.Contains(tr.Reason, "no transport serves") {
				t.Errorf("%+v", tr)
			}
		}
		if c := r.Checks[len(r.Checks)-1]; c.Name != "deleting its snapshot" || len(r.bad()) > 0 {
			t.Errorf("%+v", r.Checks)
		}
		for _, secret := range []string{s.Lab.Password, "vmware_soap_session", "\"password\"", "\"cookie\""} {
			if bytes.Contains(bytes.ToLower(out), []byte(strings.ToLower(secret))) {
				t.Errorf("%q is in the report", secret)
			}
		}
		nothingLeft(t, s)
	}
	var movers []struct{}
	must(t, s.Ask(t.Context(), &movers, "movers"))
	log, err := os.ReadFile(s.Path("logs", "coordinator.log"))
	must(t, err)
	if len(movers) != 0 || bytes.Count(log, []byte("a disk is examined")) != 3 || !bytes.Contains(log, []byte("user="+s.Lab.Username)) || bytes.Contains(log, []byte(s.Lab.Password)) {
		t.Errorf("%d movers; the coordinator says:\n%s", len(movers), log)
	}
	misuses, err := script.Misuses(s.Path("lab"))
	must(t, err)
	if len(misuses) > 0 {
		t.Errorf("rules of the library were broken: %+v", misuses)
	}
}

// reading starts a doctor and waits until it reads the disk.
func reading(t *testing.T, s *stage.Stage, by string, out io.Writer) *exec.Cmd {
	t.Helper()
	cmd := doctor(t, s, "--disk", "database")
	cmd.Stdout = out
	words, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := bufio.NewScanner(words)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "reading by "+by) {
			go func() { _, _ = io.Copy(io.Discard, words) }()
			return cmd
		}
	}
	t.Fatalf("it never reads: %v, %s", cmd.Wait(), out)
	return nil
}

// slowly has each read take so long that a doctor is at work for minutes.
func slowly(t *testing.T, s *stage.Stage) {
	t.Helper()
	must(t, script.WriteFaults(s.Path("lab"), script.Fault{Call: "ReadAsync", Nth: 3, Times: script.Always, Do: script.Delay(time.Second)}))
}

// Interrupted, it closes the disk, has the snapshot deleted and tells what it has.
func TestDoctorThatIsInterrupted(t *testing.T) {
	t.Parallel()
	s, _, _ := running(t, 256, "hotadd, nbdssl")
	slowly(t, s)
	var out bytes.Buffer
	cmd := reading(t, s, "hotadd", &out)
	must(t, cmd.Process.Signal(syscall.SIGINT))
	_ = cmd.Wait() // its status is what is looked at
	text := out.String()
	if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(text, "interrupted") || !strings.Contains(text, "deleting its snapshot") || !strings.Contains(text, "good         reading its last MiB") {
		t.Errorf("%s: %s", cmd.ProcessState, text)
	}
	nothingLeft(t, s)
}

// The library takes its process down with the disk hot-added: the disk is released, and
// the snapshot that it held is deleted.
func TestDoctorWhoseLibraryCrashes(t *testing.T) {
	t.Parallel()
	s, _, _ := running(t, 64, "hotadd, nbdssl")
	must(t, script.WriteFaults(s.Path("lab"), script.Fault{Call: "ReadAsync", Mode: "hotadd", Nth: 3, Do: script.Panic}))
	out, err := doctor(t, s, "--disk", "database", "-o", "json").Output()
	var r doctorReport
	if e := json.Unmarshal(out, &r); e != nil || err == nil {
		t.Fatalf("%v, %v: %s", err, e, out)
	}
	last := r.Checks[len(r.Checks)-2:]
	if bad := r.bad(); len(bad) != 1 || !strings.HasPrefix(bad[0], "the process that loads the library") || last[0].Name != "releasing what stayed attached" || !last[1].Good {
		t.Errorf("%+v", r.Checks)
	}
	nothingLeft(t, s)
	if d := devices(t, s); len(d) > 0 {
		t.Errorf("still attached: %v", d)
	}
}

// A doctor that is killed says nothing; its heartbeat ends, and the snapshot goes.
func TestDoctorIsKilled(t *testing.T) {
	t.Parallel()
	s, _, coordinator := running(t, 256, "nbdssl")
	slowly(t, s)
	cmd := reading(t, s, "nbdssl", io.Discard)
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	must(t, coordinator.Await(t.Context(), "the snapshot is deleted", limit, func() bool {
		left, err := s.Leftovers(t.Context())
		return err == nil && len(left) == 0
	}))
}

// Doctor and coordinator are killed: the next coordinator deletes the snapshot, of
// which it knows by the ledger.
func TestDoctorAndCoordinatorAreKilled(t *testing.T) {
	t.Parallel()
	s, d, coordinator := running(t, 256, "nbdssl")
	slowly(t, s)
	cmd := reading(t, s, "nbdssl", io.Discard)
	snaps, err := s.Owner.Snapshots(t.Context(), d.Ref)
	must(t, err)
	if len(snaps) != 1 || !strings.HasPrefix(snaps[0].Description, "ivdmover examination-") {
		t.Fatalf("while it is read: %+v", snaps)
	}
	var shown []struct{ Description string }
	must(t, s.Ask(t.Context(), &shown, "snapshots"))
	if len(shown) != 1 || shown[0].Description != snaps[0].Description {
		t.Errorf("ivd snapshots: %+v", shown)
	}
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	coordinator.Kill()
	coordinator, err = s.StartCoordinator(t.Context())
	must(t, err)
	must(t, coordinator.Await(t.Context(), "the snapshot is deleted", limit, func() bool {
		left, err := s.Leftovers(t.Context())
		return err == nil && len(left) == 0
	}))
}
