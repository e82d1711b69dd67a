package worker

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"ivdmover/deploy/lab/script"
	"ivdmover/mover/disk"
	"ivdmover/mover/pipeline"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/vddk"
)

// fill gives a disk of the laboratory content without a gap, and a new snapshot.
func (w *ward) fill(n int) {
	w.t.Helper()
	h, err := disk.NewHost(lib, disk.Options{Transports: []string{"nbdssl"}})
	if err != nil {
		w.t.Fatal(err)
	}
	d, err := h.Open(w.t.Context(), disk.Spec{Disk: job.IVD(w.refs[n]), Login: w.login, Write: true})
	if err != nil {
		w.t.Fatal(err)
	}
	buf := vddk.Alloc(labDisk)
	defer buf.Free()
	var seed [32]byte
	_, _ = rand.NewChaCha8(seed).Read(buf.Bytes())
	if err := d.WriteAt(w.t.Context(), buf.Bytes(), 0); err != nil {
		w.t.Fatal(err)
	}
	if err := d.Flush(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		w.t.Fatal(err)
	}
	if w.snapshots[n], err = w.vcenter.CreateSnapshot(w.t.Context(), w.refs[n], "filled"); err != nil {
		w.t.Fatal(err)
	}
}

// counting has the library count its calls, and nothing else.
func (w *ward) counting(call string) {
	w.t.Helper()
	w.faults(script.Fault{Call: call, Nth: 1 << 30, Shared: true, Do: script.Delay(1)})
}

func (w *ward) counted() int {
	w.t.Helper()
	files, err := filepath.Glob(filepath.Join(w.dir, "faults.count", "*"))
	if err != nil || len(files) != 1 {
		w.t.Fatalf("%v, %v", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		w.t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// The library gets requests of its transport's size: 1 MiB over the network, 2 MiB
// where each is waited for.
func TestTheLibraryGetsRequestsOfItsTransportsSize(t *testing.T) {
	w := newWard(t, 1)
	w.fill(0)
	for _, c := range []struct {
		transport string
		requests  int
	}{{"nbdssl", labDisk >> 20}, {"hotadd", labDisk >> 21}} {
		t.Run(c.transport, func(t *testing.T) {
			w.host(disk.Options{Transports: []string{c.transport}, Machine: w.proxy(1)})
			m := w.start(c.transport, 1, pipeline.Limits{})
			defer w.end(m)
			w.counting("ReadAsync")
			j := w.backup(0, ivd.JobID("back-"+c.transport))
			j.Run = ivd.RunID("run-" + c.transport) // which tells its point from the other's of the same second
			w.publish(j)
			rec := w.wait(j, over)
			if n := w.counted(); rec.State != job.Done || n != c.requests {
				t.Errorf("%d reads, want %d; %+v", n, c.requests, rec.Failure)
			}
			p := w.commit(j, rec)
			to, err := w.vcenter.CreateDisk(t.Context(), w.refs[0].Datastore(), "to-"+c.transport, labDisk>>20)
			if err != nil {
				t.Fatal(err)
			}
			r := w.restoreJob(p, to.ID(), labDisk)
			r.Disk = job.IVD(to)
			w.counting("WriteAsync")
			w.publish(r)
			rec = w.wait(r, over)
			if n := w.counted(); rec.State != job.Done || n != c.requests {
				t.Errorf("%d writes, want %d; %+v", n, c.requests, rec.Failure)
			}
		})
	}
	w.faults()
}
