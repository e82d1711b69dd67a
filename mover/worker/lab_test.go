package worker

import (
	"testing"

	"ivdmover/coordinator/inventory"
	"ivdmover/deploy/lab"
	"ivdmover/deploy/lab/script"
	"ivdmover/mover/disk"
	"ivdmover/mover/disk/disktest"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

const labDisk = 8 << 20 // bytes of each disk of the laboratory

// ward is a bench whose disks are a laboratory's, each with a snapshot.
type ward struct {
	*bench
	dir       string
	vcenter   *inventory.VCenter
	refs      []ivd.DiskRef
	snapshots []ivd.SnapshotID
	login     job.Login
}

// newWard starts a laboratory; that the library was used as it may be is looked at
// when the test ends.
func newWard(t *testing.T, disks int) *ward {
	t.Helper()
	libdir, err := disktest.LibDir()
	if err != nil {
		t.Fatal(err)
	}
	w := &ward{dir: t.TempDir()}
	l, err := lab.Start(t.Context(), lab.Options{Dir: w.dir, Disks: disks, DiskSize: labDisk, LibDir: libdir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		misuses, err := script.Misuses(w.dir)
		if err != nil || len(misuses) > 0 {
			t.Errorf("the library was misused: %+v, %v", misuses, err)
		}
	})
	r := l.Ready()
	w.vcenter, err = inventory.Connect(t.Context(), inventory.Config{
		Name: "lab", URL: r.URL, Username: r.Username, Password: ivd.Secret(r.Password), Thumbprint: r.Thumbprint,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.vcenter.Close() })
	for d, err := range w.vcenter.Disks(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		s, err := w.vcenter.CreateSnapshot(t.Context(), d.Ref, "test")
		if err != nil {
			t.Fatal(err)
		}
		w.refs, w.snapshots = append(w.refs, d.Ref), append(w.snapshots, s)
	}
	if w.login, err = w.vcenter.Login(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.bench = newBench(t)
	w.bench.logins(func(job.LoginRequest) job.Login { return w.login })
	return w
}

// host is what movers started from now on have.
func (w *ward) host(o disk.Options) {
	w.t.Helper()
	h, err := disk.NewHost(lib, o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.disks = h
}

// proxy makes this machine one of the laboratory's virtual machines.
func (w *ward) proxy(slots int) disk.Machine {
	w.t.Helper()
	w.hosts(script.Hosts{Proxies: []script.Proxy{{BIOSUUID: disktest.Proxy, VM: "lab-vm-1", FreeSlots: slots}}})
	return disk.ThisMachine(disktest.Proxy, []string{})
}

func (w *ward) hosts(h script.Hosts) {
	w.t.Helper()
	if err := script.WriteHosts(w.dir, h); err != nil {
		w.t.Fatal(err)
	}
}

// faults replaces the script; none: nothing fails any more.
func (w *ward) faults(rules ...script.Fault) {
	w.t.Helper()
	if err := script.WriteFaults(w.dir, rules...); err != nil {
		w.t.Fatal(err)
	}
}

// backup is the job for one of the disks.
func (w *ward) backup(n int, id ivd.JobID) job.Job {
	j := w.job(w.refs[n].ID(), labDisk)
	j.ID, j.Disk, j.Backup.Snapshot = id, job.IVD(w.refs[n]), w.snapshots[n]
	return j
}

// occupy opens the second disk, so that its host has a session; the function
// returned closes it.
func (w *ward) occupy() func() {
	w.t.Helper()
	n := len(w.refs) - 1
	d, err := w.disks.Open(w.t.Context(), disk.Spec{Disk: job.IVD(w.refs[n]), Snapshot: w.snapshots[n], Login: w.login})
	if err != nil {
		w.t.Fatal(err)
	}
	return func() {
		if err := d.Close(); err != nil {
			w.t.Error(err)
		}
	}
}
