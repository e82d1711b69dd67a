package collect_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ivdmover/coordinator/collect"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// BenchmarkCollect collects in repositories with so many TiB in packs of 16 MiB that
// restore points need, and a tenth of that which none needs. Points and pages are real; of
// a data pack there is no more than its name, and requests take no time, so that what is
// measured is a collection's own work. `make bench-repo` runs it.
func BenchmarkCollect(b *testing.B) {
	for _, tib := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("%dTiB", tib), func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				s := fill(b, tib)
				s.needed = s.packs
				s.packs += s.needed / 10
				c := collect.New(s.r, collect.Options{MinAge: 1, MaxShare: 1})
				runtime.GC()
				s.since()
				before := cpu(b)
				b.StartTimer()
				rep, err := c.Collect(b.Context())
				b.StopTimer()
				if err != nil || rep.Deleted.Packs != int64(s.packs-s.needed) || len(s.lost) > 0 {
					b.Fatalf("%+v, %v", rep, err)
				}
				b.ReportMetric((cpu(b) - before).Seconds(), "cpu-s")
				use := float64(s.since())
				b.ReportMetric(float64(s.packs), "packs")
				b.ReportMetric(use/(1<<20), "MiB")
				b.ReportMetric(use/float64(s.packs), "B/pack")
			}
		})
	}
}

// cpu is the processors' time that this process has taken.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// A collection holds at most 24 bytes of each pack, whatever it is doing, with the pages
// and the parts of lists that it reads.
func TestMemoryOfACollection(t *testing.T) {
	s := fill(t, 1)
	s.needed = s.packs
	s.packs += s.needed / 10
	s.since()
	rep, err := collect.New(s.r, collect.Options{MinAge: 1, MaxShare: 1}).Collect(t.Context())
	if err != nil || rep.Deleted.Packs != int64(s.packs-s.needed) || len(s.lost) > 0 {
		t.Fatalf("%+v, %v", rep, err)
	}
	use := float64(s.since()) / float64(s.packs)
	if use > 24 || use < 10 { // less would be no measurement
		t.Errorf("%.1f bytes a pack", use)
	}
	t.Logf("%.1f bytes of each of %d packs", use, s.packs)
}

// fill makes disks of a TiB, each with a point that needs all of its packs.
func fill(b testing.TB, tib int) *simulated {
	b.Helper()
	s := newSimulated(b)
	lease := s.lease(b)
	w, err := s.r.NewWriter(lease, ivd.NewWriterID(), "a test")
	if err != nil {
		b.Fatal(err)
	}
	g := ivd.Geometry{Capacity: 1 << 40, ChunkSize: ivd.AutoChunkSize(1 << 40)}
	perSpan := int(g.ChunkSize * ivd.ChunksPerSpan / (16 << 20))
	for n := range tib {
		pack := w.NewPack(format.IndexPack)
		var refs []ivd.PageRef
		for index := range g.Pages() {
			page := format.NewPage(g, index)
			for i := range g.PageSpans(index) {
				var needs []ivd.PackRef
				for range perSpan {
					needs = append(needs, ivd.PackRef{Pack: packID(s.packs), Writer: w.ID()})
					s.packs++
				}
				node := ivd.NodeRef{Span: index.FirstSpan() + ivd.SpanIndex(i), ID: ivd.ContentID(needs[0].Pack), Place: ivd.Place{PackRef: format.OwnPack, Offset: 1000, Length: 1000}}
				page.SetNode(node, needs)
			}
			plain, err := page.Encode()
			if err != nil {
				b.Fatal(err)
			}
			id := s.r.Suite().ID(plain)
			at, length := pack.Add(format.PageFrame, id, len(plain), format.CompressionNone, plain)
			refs = append(refs, ivd.PageRef{Page: index, ID: id, Place: ivd.Place{Offset: at, Length: length}})
		}
		stored, _, _, err := w.PutPack(b.Context(), pack)
		if err != nil {
			b.Fatal(err)
		}
		for i := range refs {
			refs[i].Place.PackRef = stored
		}
		commitPages(b, s.r, lease, g, ivd.DiskID(fmt.Sprintf("5f0c1b1e-0000-4000-8000-%012d", n)), 1, refs)
	}
	if err := s.r.EndLease(b.Context(), lease.ID); err != nil {
		b.Fatal(err)
	}
	return s
}
