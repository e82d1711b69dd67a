package image_test

import (
	"bytes"
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ivdmover/shared/image"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
	"ivdmover/shared/store"
	"ivdmover/shared/store/dir"
	"ivdmover/shared/store/faults"
	"ivdmover/shared/store/storetest"
)

// twoSpans is a point with a chunk in each of two spans, so that something is left to
// read when the first has been.
func twoSpans(t *testing.T) (*repotest.Repository, repotest.Point) {
	t.Helper()
	r := repotest.New(t)
	d := repotest.NewDisk(ivd.Geometry{Capacity: 2 * ivd.ChunksPerSpan * cs, ChunkSize: cs})
	for i := range int64(2) {
		b := make([]byte, cs)
		repotest.Noise(rand.New(rand.NewPCG(uint64(i), 5)), b)
		if _, err := d.WriteAt(b, i*ivd.ChunksPerSpan*cs); err != nil {
			t.Fatal(err)
		}
	}
	return r, r.Save(d, repotest.Layout{ChunksPerPack: 1, NodesPerPack: 1})
}

// span reads the chunk of a span.
func span(t *testing.T, im *image.Image, i int64) error {
	t.Helper()
	b := make([]byte, cs)
	_, err := im.ReadAt(t.Context(), b, i*ivd.ChunksPerSpan*cs)
	return err
}

// mustSpan reads it and fails where that fails.
func mustSpan(t *testing.T, im *image.Image, i int64) {
	t.Helper()
	if err := span(t, im, i); err != nil {
		t.Fatal(err)
	}
}

func leases(t *testing.T, r *repotest.Repository) []ivd.LeaseID {
	t.Helper()
	var ids []ivd.LeaseID
	for l, err := range r.Leases(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, l.ID)
	}
	return ids
}

// calls records the calls of a store that matter to R1.
type calls struct {
	mu   sync.Mutex
	list []string
}

func record(r *repotest.Repository) *calls {
	c := &calls{}
	for _, f := range []struct {
		on     faults.Method
		prefix string
	}{{faults.Put, "leases/"}, {faults.Get, "leases/"}, {faults.List, "collect/"}, {faults.Get, "points/"}, {faults.ReadAt, ""}} {
		r.Store.Add(faults.Fault{On: f.on, Prefix: f.prefix, Times: faults.Always, Do: func(n store.Name) {
			folder, _, _ := strings.Cut(string(n), "/")
			c.mu.Lock()
			defer c.mu.Unlock()
			c.list = append(c.list, string(f.on)+" "+folder)
		}})
	}
	return c
}

func (c *calls) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.list
	c.list = nil
	return list
}

// R1, and R3 by R1 once more: before anything is read there is a lease, the lists and
// the point; and when the lease comes to its end, another.
func TestReadsOnUnderAnotherLease(t *testing.T) {
	r, p := twoSpans(t)
	c := record(r)
	im := open(t, r, p)
	begin := []string{"put leases", "get leases", "list collect", "get points"}
	if got := c.take(); !slices.Equal(got, begin) {
		t.Fatalf("to open it did %q, want %q", got, begin)
	}
	first := leases(t, r)
	mustSpan(t, im, 0)
	r.Pass(21 * time.Hour)
	c.take()
	mustSpan(t, im, 1)
	if got := c.take(); slices.ContainsFunc(got, func(s string) bool { return !strings.HasPrefix(s, "read ") }) {
		t.Fatalf("with three hours to go it did %q", got)
	}
	r.Pass(90 * time.Minute)
	mustSpan(t, im, 1)
	if got := c.take(); !slices.Equal(got[len(got)-5:], append(begin, "read data")) {
		t.Fatalf("towards the end it did %q, want R1 and then to read", got)
	}
	second := leases(t, r)
	if len(first) != 1 || len(second) != 1 || first[0] == second[0] {
		t.Fatalf("leases %v, then %v: want one, then another", first, second)
	}
	r.Pass(20 * time.Hour) // the first has ended long since
	mustSpan(t, im, 0)
	im.Close(t.Context())
	if left := leases(t, r); len(left) != 0 {
		t.Errorf("leases %v are left", left)
	}
}

// Under a lease of somebody else's, and their way to another: the image ends neither.
func TestOthersLeasesAreTheirs(t *testing.T) {
	r, p := twoSpans(t)
	given := r.Lease(repo.ReadLease)
	var renewed []ivd.LeaseID
	im := open(t, r, p, func(o *image.Options) {
		o.Lease = given.ID
		o.Renew = func(context.Context) (ivd.LeaseID, error) {
			renewed = append(renewed, r.Lease(repo.ReadLease).ID)
			return renewed[len(renewed)-1], nil
		}
	})
	mustSpan(t, im, 0)
	if len(renewed) != 0 {
		t.Fatal("another lease was asked for without need")
	}
	r.Pass(25 * time.Hour) // past the end: nothing was read meanwhile
	mustSpan(t, im, 1)
	im.Close(t.Context())
	want := slices.Sorted(slices.Values([]ivd.LeaseID{given.ID, renewed[0]}))
	if got := slices.Sorted(slices.Values(leases(t, r))); len(renewed) != 1 || !slices.Equal(got, want) {
		t.Errorf("leases %v, want %v", got, want)
	}
}

// Of a short lease the second half is left for the way to another.
func TestShortLease(t *testing.T) {
	r, p := twoSpans(t)
	renewed := 0
	im := open(t, r, p, func(o *image.Options) {
		o.Lease = r.LeaseOf(repo.ReadLease, time.Hour).ID
		o.Renew = func(context.Context) (ivd.LeaseID, error) {
			renewed++
			return r.Lease(repo.ReadLease).ID, nil
		}
	})
	for _, step := range []struct {
		pass time.Duration
		want int
	}{{0, 0}, {29 * time.Minute, 0}, {2 * time.Minute, 1}, {21 * time.Hour, 1}} {
		r.Pass(step.pass)
		mustSpan(t, im, 0)
		if renewed != step.want {
			t.Fatalf("%s later the lease was renewed %d times, want %d", step.pass, renewed, step.want)
		}
	}
}

// R1: no reading without a lease that stands, nor of a point that is condemned.
func TestOpenRefuses(t *testing.T) {
	r, p := twoSpans(t)
	o := image.Options{Point: p.ID, Memory: memory(t, 64<<20), Lease: "none"}
	_, err := image.Open(t.Context(), r.Repository, o)
	wantKind(t, err, ivd.Expired, string(p.ID))
	o.Lease = ""
	r.Condemn(nil, p.ID)
	_, err = image.Open(t.Context(), r.Repository, o)
	wantKind(t, err, ivd.NotFound, "a collection has it on its list")
	o.Memory = memory(t, o.Need(p.Geometry)-1)
	o.Point = r.Save(p.Disk, repotest.Layout{}).ID
	_, err = image.Open(t.Context(), r.Repository, o)
	wantKind(t, err, ivd.Invalid, string(o.Point))
	if left := leases(t, r); len(left) != 0 {
		t.Errorf("leases %v are left", left)
	}
}

// A point that is condemned in the middle of a read is read to the end of the lease
// that there is (R2), and not under another.
func TestCondemnedInTheMiddle(t *testing.T) {
	r, p := twoSpans(t)
	im := open(t, r, p)
	r.Condemn([]ivd.PackID{r.Place(p.Disk, 0).Pack}, p.ID)
	r.Pass(23 * time.Hour)
	mustSpan(t, im, 0)
	mustSpan(t, im, 1)
	r.Pass(2 * time.Hour)
	for range 2 {
		err := span(t, im, 0)
		wantKind(t, err, ivd.NotFound, "a collection has it on its list", "ends at")
	}
	_, err := readAll(t.Context(), im, im.Whole())
	wantKind(t, err, ivd.NotFound)
	im.Close(t.Context())
	if left := leases(t, r); len(left) != 0 {
		t.Errorf("leases %v are left", left)
	}
}

// While no other lease can be had, reading goes on until the end of the one there is;
// then it stops, and goes on when one can be had again.
func TestNoOtherLeaseToBeHad(t *testing.T) {
	r, p := twoSpans(t)
	im := open(t, r, p)
	down := faults.Fault{On: faults.Put, Prefix: "leases/", Before: faults.ErrInjected, Times: 3}
	r.Pass(23 * time.Hour)
	r.Store.Add(down)
	mustSpan(t, im, 0) // tries, in vain
	mustSpan(t, im, 1) // does not try again at once
	r.Clock.Pass(30 * time.Minute)
	tick(t, r)
	mustSpan(t, im, 0) // tries, in vain
	r.Clock.Pass(2 * time.Hour)
	tick(t, r)
	wantKind(t, span(t, im, 0), ivd.Transient, "ends at", "injected") // in vain
	wantKind(t, span(t, im, 0), ivd.Transient, "ends at", "injected") // does not even try
	r.Pass(time.Hour)
	mustSpan(t, im, 0)
}

// tick has the repository know the time, without a new lease.
func tick(t *testing.T, r *repotest.Repository) {
	t.Helper()
	if err := r.CheckLease(t.Context(), "none", 0); ivd.KindOf(err) != ivd.Expired {
		t.Fatal(err)
	}
	for l, err := range r.Leases(t.Context()) {
		if err != nil || l.ID == "" {
			t.Fatal(err)
		}
	}
}

// Many readers at the end of a lease: one of them opens another, and all go on.
func TestManyReadersRenewOnce(t *testing.T) {
	r, p := twoSpans(t)
	im := open(t, r, p)
	for _, wait := range []time.Duration{23 * time.Hour, 30 * time.Hour} { // towards the end, and past it
		r.Pass(wait)
		c := record(r)
		var readers sync.WaitGroup
		for i := range int64(20) {
			readers.Go(func() {
				if err := span(t, im, i%2); err != nil {
					t.Error(err)
				}
			})
		}
		readers.Wait()
		n := 0
		for _, call := range c.take() {
			if call == "put leases" {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d leases were opened by 20 readers", n)
		}
	}
}

// Without a lease a repository is read in which nothing can be written.
func TestReadOnlyFolderWithoutALease(t *testing.T) {
	r, p := twoSpans(t)
	before := storetest.Tree(t, r.Dir)
	st, err := dir.OpenReadOnly(r.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	ro, err := repo.Open(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	o := image.Options{Point: p.ID, Memory: memory(t, 64<<20), WithoutLease: true}
	im, err := image.Open(t.Context(), ro, o)
	if err != nil {
		t.Fatal(err)
	}
	got, err := readAll(t.Context(), im, im.Whole())
	if err != nil || !bytes.Equal(got, content(t, p.Disk, im.Whole())) {
		t.Errorf("%d bytes: %v", len(got), err)
	}
	im.Close(t.Context())
	o.WithoutLease = false
	_, err = image.Open(t.Context(), ro, o)
	wantKind(t, err, ivd.Denied, "reading only")
	if after := storetest.Tree(t, r.Dir); !maps.Equal(before, after) {
		t.Errorf("the folder holds %v, before %v", after, before)
	}
}
