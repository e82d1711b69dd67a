package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ivdmover/deploy/lab/script"
	"ivdmover/mover/disk/disktest"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/vddk"
)

// outcomes is what a job comes to for the codes that VMware or its users say
// something of. What is not named is not classified, and tried again a few times.
var outcomes = map[ivd.Kind][]int{
	ivd.Transient: {
		14006, 14007, 14008, 14009, 14010, 14011, 14014, 14015, 26, 34, 36, 18000, 30006, 30007, 30028, 16054, 5, 31, 3008,
		20005,    // EndAccess did not help
		noMemory, // of the host
	},
	ivd.Locked:      {15, 13010, 13014, 13},
	ivd.Denied:      {3014, 3015, 35, 16064, 30035, 30201, 18002},
	ivd.Expired:     {3046, 3047},
	ivd.Unsupported: {6, 20, 1001, 16013, 16053, 16065, 16066, 30, 16014, 16015, 16016, 16017, 16052, 17000, 17012},
	ivd.NotFound:    {4, 25, 4000, 13003, 16000, 16003, 16008, 16030, 16063},
	ivd.Permanent:   {3, 44, 1000, 16007, 24, 26000},
	ivd.Full:        {8},
	ivd.Unknown:     {1, 7, 9, 10, 16, 1002, 2000},
}

func allCodes(t *testing.T) (codes []int) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "vddk", "vix-errors.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		number, _, _ := strings.Cut(line, "\t")
		n, err := strconv.Atoi(number)
		if err != nil {
			t.Fatal(err)
		}
		if n != 0 && n != 25000 {
			codes = append(codes, n)
		}
	}
	return codes
}

// faults replaces the script; none: nothing fails any more.
func faults(t *testing.T, dir string, rules ...script.Fault) {
	t.Helper()
	if err := script.WriteFaults(dir, rules...); err != nil {
		t.Fatal(err)
	}
}

func quick(t *testing.T, o Options) *Host {
	t.Helper()
	h, err := NewHost(lib, o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestEveryCodeEndsAsItShould(t *testing.T) {
	dir := t.TempDir()
	refs, _, cookie, _ := labDisks(t, startLab(t, dir, 1))
	h := quick(t, Options{Transports: []string{"nbdssl"}})
	// The library learns where the laboratory's script is with the first disk.
	if err := useAndClose(t.Context(), h, Spec{Disk: job.IVD(refs[0]), Login: cookie}); err != nil {
		t.Fatal(err)
	}
	known := 0
	for _, code := range allCodes(t) {
		faults(t, dir, script.Fault{Call: "Open", Do: script.Code(code), Times: script.Always})
		d, err := h.Open(t.Context(), Spec{Disk: job.IVD(refs[0]), Login: cookie})
		if err == nil {
			t.Errorf("code %d: it opened", code)
			err = d.Close()
		}
		kind := ivd.KindOf(err)
		for want, list := range outcomes {
			if slices.Contains(list, code) {
				known++
				if kind != want {
					t.Errorf("code %d: %q, want %q", code, kind, want)
				}
			}
		}
		var v *vddk.Error
		if !errors.As(err, &v) || int(v.Code) != code || kind != kinds[v.Class] && code != noMemory {
			t.Errorf("code %d: %v, of kind %q", code, err, kind)
		}
	}
	total := 0
	for _, list := range outcomes {
		total += len(list)
	}
	if known != total {
		t.Errorf("%d of %d codes that something is known of were met", known, total)
	}
	faults(t, dir)
}

// A host that has no memory for another disk has some later.
func TestAHostWithoutMemoryIsTriedLater(t *testing.T) {
	dir := t.TempDir()
	refs, _, cookie, _ := labDisks(t, startLab(t, dir, 1))
	h := quick(t, Options{Transports: []string{"nbdssl"}})
	if err := script.WriteHosts(dir, script.Hosts{NFCMemory: 1}); err != nil {
		t.Fatal(err)
	}
	err := useAndClose(t.Context(), h, Spec{Disk: job.IVD(refs[0]), Login: cookie})
	if ivd.KindOf(err) != ivd.Transient || !strings.Contains(ivd.RemedyOf(err), "mover.handles") {
		t.Errorf("%v, of kind %q", err, ivd.KindOf(err))
	}
	if err := script.WriteHosts(dir, script.Hosts{}); err != nil {
		t.Fatal(err)
	}
	if err := useAndClose(t.Context(), h, Spec{Disk: job.IVD(refs[0]), Login: cookie}); err != nil {
		t.Error(err)
	}
}

// Transports fall back, EndAccess is called and the disk opens, all through the
// library.
func TestFaultsAtTheOpening(t *testing.T) {
	dir := t.TempDir()
	refs, _, cookie, v := labDisks(t, startLab(t, dir, 1))
	ref := refs[0]
	snapshot, err := v.CreateSnapshot(t.Context(), ref, "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := script.WriteHosts(dir, script.Hosts{Proxies: []script.Proxy{
		{BIOSUUID: disktest.Proxy, VM: "lab-vm-1", FreeSlots: 2, LUNs: []string{"datastore1", "datastore2"}},
	}}); err != nil {
		t.Fatal(err)
	}
	all := Options{Transports: []string{"san", "hotadd", "nbdssl"}, Machine: ThisMachine(disktest.Proxy, []string{})}
	for _, c := range []struct {
		name  string
		rules []script.Fault
		by    string
		kind  ivd.Kind // of the error, where by is empty
	}{
		{"nothing", nil, "san", ""},
		{"an earlier run", []script.Fault{{Call: "Open", Do: script.Code(20005)}}, "san", ""},
		{"an earlier run that cannot be undone", []script.Fault{{Call: "Open", Do: script.Code(20005)}, {Call: "EndAccess", Do: script.Code(16064)}}, "", ivd.Transient},
		{"san cannot", []script.Fault{{Call: "Open", Mode: "san", Do: script.Code(16053)}}, "hotadd", ""},
		{"no free slot", []script.Fault{{Call: "Open", Mode: "san", Do: script.Code(20)}, {Call: "Open", Mode: "hotadd", Do: script.Code(13)}}, "nbdssl", ""},
		{"rights that HotAdd needs", []script.Fault{{Call: "Open", Mode: "san", Do: script.Code(6)}, {Call: "Open", Mode: "hotadd", Do: script.Code(3014)}}, "nbdssl", ""},
		{"a wrong password is asked for once", []script.Fault{{Call: "Open", Mode: "san", Do: script.Code(35)}}, "", ivd.Denied},
		{"the login ended", []script.Fault{{Call: "Open", Do: script.Code(3047)}}, "", ivd.Expired},
		{"connecting fails", []script.Fault{{Call: "ConnectEx", Do: script.Code(14009), Times: script.Always}}, "", ivd.Transient},
	} {
		h := quick(t, all)
		faults(t, dir, c.rules...)
		d, err := h.Open(t.Context(), Spec{Disk: job.IVD(ref), Snapshot: snapshot, Login: cookie, Identity: "test"})
		faults(t, dir)
		if c.by == "" {
			if err == nil || ivd.KindOf(err) != c.kind {
				t.Errorf("%s: %v, of kind %q, want %q", c.name, err, ivd.KindOf(err), c.kind)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if d.Transport() != c.by {
			t.Errorf("%s: opened by %s, want %s", c.name, d.Transport(), c.by)
		}
		if err := d.Close(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if err := v.DeleteSnapshot(t.Context(), ref, snapshot); err != nil {
		t.Error(err)
	}
}

// What hangs is given up, its neighbour does not notice, and the path is left alone.
func TestACallThatHangsIsGivenUp(t *testing.T) {
	dir := t.TempDir()
	refs, _, cookie, _ := labDisks(t, startLab(t, dir, 2))
	for _, call := range []string{"ReadAsync", "Close", "Open", "QueryAllocatedBlocks"} {
		t.Run(call, func(t *testing.T) {
			h := quick(t, Options{Transports: []string{"nbdssl"}})
			neighbour, err := h.Open(t.Context(), Spec{Disk: job.IVD(refs[1]), Login: cookie})
			if err != nil {
				t.Fatal(err)
			}
			lost := h.Facts().Lost
			faults(t, dir, script.Fault{Call: call, Disk: string(refs[0].ID()), Do: script.Hang, Times: script.Always})
			defer faults(t, dir)
			h.limits = limits{
				open: 2 * time.Second, transfer: 300 * time.Millisecond, flush: time.Minute,
				query: 300 * time.Millisecond, close: 300 * time.Millisecond, access: time.Minute, cleanup: time.Minute,
			}
			if call == "Open" {
				h.limits.open = 300 * time.Millisecond
			}
			var good sync.WaitGroup
			begun, stop := make(chan struct{}), make(chan struct{})
			good.Go(func() { readOn(t, h, neighbour, begun, stop) })
			<-begun
			err = useAndClose(t.Context(), h, Spec{Disk: job.IVD(refs[0]), Login: cookie})
			close(stop)
			good.Wait()
			if !errors.Is(err, vddk.ErrAbandoned) || ivd.KindOf(err) != ivd.Transient {
				t.Errorf("%v, of kind %q", err, ivd.KindOf(err))
			}
			for deadline := time.Now().Add(30 * time.Second); h.Facts().Lost <= lost; runtime.Gosched() {
				if time.Now().After(deadline) { // it is counted just after the call returns
					t.Fatalf("lost %d, as before", lost)
				}
			}
			f := h.Facts()
			if call == "ReadAsync" && f.LostKeep != 1<<20 {
				t.Errorf("%d bytes of buffers are the library's", f.LostKeep)
			}
			if len(f.Paths) != 1 || f.Paths[0].CoolUntil.IsZero() {
				t.Errorf("paths %+v", f.Paths)
			}
			h.limits = defaultLimits
			if err := neighbour.Close(); err != nil {
				t.Errorf("the neighbour: %v", err)
			}
		})
	}
}

// useAndClose opens a disk, asks for its map, reads from it and closes it.
func useAndClose(ctx context.Context, h *Host, s Spec) error {
	d, err := h.Open(ctx, s)
	if err != nil {
		return err
	}
	_, err = d.Allocated(ctx, ivd.Extent{Length: d.Capacity()}, 64<<10)
	if err == nil {
		buf := h.Alloc(1 << 20)
		err = d.ReadAt(ctx, buf.Bytes(), 0)
		buf.Free()
	}
	return errors.Join(err, d.Close())
}

// readOn reads a disk until it is told to stop, and is wrong when it fails.
func readOn(t *testing.T, h *Host, d *Disk, begun chan<- struct{}, stop <-chan struct{}) {
	buf := h.Alloc(1 << 20)
	defer buf.Free()
	var first []byte
	for {
		// The neighbour has limits of its own: h's are for the one that hangs.
		if err := d.handle.Read(buf.Bytes(), 0); err != nil {
			t.Error(fmt.Errorf("the neighbour: %w", err))
		}
		if first == nil {
			first = bytes.Clone(buf.Bytes())
			close(begun)
		} else if !bytes.Equal(first, buf.Bytes()) {
			t.Error("the neighbour reads something else")
		}
		select {
		case <-stop:
			return
		default:
		}
	}
}
