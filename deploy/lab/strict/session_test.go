package strict_test

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"ivdmover/deploy/lab"
	"ivdmover/deploy/lab/estate"
	"ivdmover/deploy/lab/script"
	"ivdmover/vddk"
)

// What hotadd and san move takes its time, each its own, which may change while a
// disk is open.
func TestDirectSessionsTakeTheirTime(t *testing.T) {
	w := newWorld(t, 4*mib)
	s := w.snapshot()
	b := vddk.Alloc(256 << 10)
	defer b.Free()
	for _, mode := range []string{"hotadd", "san"} {
		w.proxy(1, "datastore1")
		h := mustOpen(t, w.at(s), vddk.ReadOnly, mode)
		read := func(times int) time.Duration {
			start := time.Now()
			for range times {
				must(t, h.Read(b.Bytes(), 0))
			}
			return time.Since(start)
		}
		pace := func(p script.Pace) {
			hosts := script.Hosts{HotAdd: p}
			if mode == "san" {
				hosts = script.Hosts{SAN: p}
			}
			must(t, script.WriteHosts(w.dir, hosts))
		}
		pace(script.Pace{Latency: script.Duration(100 * time.Millisecond)})
		if d := read(1); d < 100*time.Millisecond {
			t.Errorf("%s: one read took %v", mode, d)
		}
		pace(script.Pace{Bandwidth: 4 * mib})
		if d := read(4); d < 240*time.Millisecond {
			t.Errorf("%s: a MiB took %v of a line of 4 MiB/s", mode, d)
		}
		must(t, h.Close())
	}
}

// The report counts what went beside the data port, since the laboratory's start,
// and what processes move whose disks were open before.
func TestDirectTrafficIsReported(t *testing.T) {
	w := newWorld(t, 4*mib)
	w.proxy(1, "datastore1")
	s := w.snapshot()
	move := func(mode string, size int) {
		t.Helper()
		h := mustOpen(t, w.at(s), vddk.ReadOnly, mode)
		b := vddk.Alloc(size)
		defer b.Free()
		must(t, h.Read(b.Bytes(), 0))
		must(t, h.Close())
	}
	move("san", 64<<10)
	move("san", 512)
	move("nbdssl", 1024)
	h := mustOpen(t, w.at(""), vddk.Unbuffered, "hotadd")
	must(t, write(t, h, bytes.Repeat([]byte{1}, 4096), 0))
	r := w.lab.Report()
	want := map[string]estate.Traffic{"san": {Read: 64<<10 + 512}, "hotadd": {Written: 4096}}
	if got := r.Direct[w.disk.ID()]; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := r.Traffic[w.disk.ID()]; got != (estate.Traffic{Read: 64<<10 + 512 + 1024, Written: 4096}) {
		t.Errorf("all together: %+v", got)
	}
	w.end()
	var err error
	w.lab, err = lab.Start(t.Context(), lab.Options{Dir: w.dir})
	must(t, err)
	must(t, write(t, h, make([]byte, 512), 8192))
	if got, want := w.lab.Report().Traffic[w.disk.ID()], (estate.Traffic{Written: 512}); got != want {
		t.Errorf("after a restart: %+v, want %+v", got, want)
	}
	must(t, h.Close())
}
