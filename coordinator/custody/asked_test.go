package custody_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ivdmover/coordinator/custody"
	"ivdmover/coordinator/engine"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
)

// runs are those of the test: one that backs up, and one that restores.
type runs struct {
	entitled, claimed error
	reads             func() (engine.Reading, error)
}

func (r *runs) Entitled(context.Context, ivd.RunID, ivd.DiskRef) error          { return r.entitled }
func (r *runs) Claimed(context.Context, job.LoginRequest) error                 { return r.claimed }
func (r *runs) Reads(context.Context, job.LoginRequest) (engine.Reading, error) { return r.reads() }

var claim = job.Claim{Mover: "m", Process: "p", Run: "run-1", Disk: ivd.NewDiskRef("s", "d", "5f0c1b1e-0000-4000-8000-0000000000d1"), Job: "j1"}

// lines keeps what is logged.
type lines struct {
	mu   sync.Mutex
	said []string
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said = append(l.said, string(p))
	return len(p), nil
}

// A writer is registered once, for the mover that the queue vouches for, under a lease of
// the run of a job that it works on.
func TestRegister(t *testing.T) {
	t.Parallel()
	r := repotest.Sealed(t)
	lease, err := r.OpenLease(t.Context(), repo.LeaseSpec{Kind: repo.WriteLease, Run: "run-1"})
	must(t, err)
	reading, err := r.OpenLease(t.Context(), repo.LeaseSpec{Kind: repo.ReadLease, Run: "run-1"})
	must(t, err)
	other := r.Lease(repo.WriteLease)
	d := &custody.Desk{Repo: r.Repository, Fleet: strangers{"mallory": true}, Log: slog.New(slog.DiscardHandler)}
	record := func() format.Writer { // as a mover makes it
		var made format.Writer
		mover, err := repo.OpenWith(t.Context(), r.Store, repo.Keys{Grant: r.Grant(), Register: func(_ context.Context, w format.Writer) error {
			made = w
			return ivd.Errorf(ivd.Transient, "that is all")
		}})
		must(t, err)
		w, err := mover.NewWriter(lease, ivd.NewWriterID(), "m")
		must(t, err)
		if _, _, _, err := w.PutPack(t.Context(), w.NewPack(format.DataPack)); ivd.KindOf(err) != ivd.Transient {
			t.Fatalf("a pack is stored before its writer: %v", err)
		}
		return made
	}
	for _, c := range []struct {
		what   string
		change func(w *format.Writer, c *job.Claim, r *runs)
		mover  string
		kind   ivd.Kind
	}{
		{"as it should be", nil, "m", ""},
		{"a process that is not known", nil, "mallory", ivd.Denied},
		{"in another mover's name", func(w *format.Writer, _ *job.Claim, _ *runs) { w.Mover = "other" }, "m", ivd.Denied},
		{"for another run", func(w *format.Writer, _ *job.Claim, _ *runs) { w.Run = "run-2" }, "m", ivd.Denied},
		{"for another run's job", func(w *format.Writer, c *job.Claim, _ *runs) { w.Run, c.Run = "run-2", "run-2" }, "m", ivd.Denied},
		{"under another run's lease", func(w *format.Writer, _ *job.Claim, _ *runs) { w.Lease = other.ID }, "m", ivd.Denied},
		{"under a lease for reading", func(w *format.Writer, _ *job.Claim, _ *runs) { w.Lease = reading.ID }, "m", ivd.Denied},
		{"under a lease that is gone", func(w *format.Writer, _ *job.Claim, _ *runs) { w.Lease = "gone" }, "m", ivd.Expired},
		{"of another incarnation", func(w *format.Writer, _ *job.Claim, _ *runs) { w.Incarnation = "i" }, "m", ivd.Denied},
		{"of another repository", func(w *format.Writer, _ *job.Claim, _ *runs) { w.Repository = "r" }, "m", ivd.Corrupt},
		{"sealed to a data key of nobody's", func(w *format.Writer, _ *job.Claim, _ *runs) { w.DataKey = ivd.KeyID{1} }, "m", ivd.Denied},
		{"without a frame key", func(w *format.Writer, _ *job.Claim, _ *runs) { w.FrameKey = nil }, "m", ivd.Denied},
		{"without a key that checks signatures", func(w *format.Writer, _ *job.Claim, _ *runs) { w.Public = w.Public[:31] }, "m", ivd.Denied},
		{"a disk of no run", func(_ *format.Writer, _ *job.Claim, r *runs) { r.entitled = ivd.Errorf(ivd.Denied, "none") }, "m", ivd.Denied},
		{"a job that is not its own", func(_ *format.Writer, _ *job.Claim, r *runs) { r.claimed = ivd.Errorf(ivd.Transient, "no") }, "m", ivd.Transient},
	} {
		w, as, rs := record(), claim, &runs{}
		if c.change != nil {
			c.change(&w, &as, rs)
		}
		d.Runs = rs
		b, err := w.Encode()
		must(t, err)
		q := job.WriterRequest{Repository: r.ID(), Claim: as, Record: b}
		err = d.Register(t.Context(), q, job.Mover{Name: c.mover})
		_, readErr := r.ReadWriter(t.Context(), w.ID)
		if ivd.KindOf(err) != c.kind || (err == nil) != (c.kind == "") || (readErr == nil) != (c.kind == "") {
			t.Errorf("%s: %v, want kind %q; its record: %v", c.what, err, c.kind, readErr)
		}
		if c.kind != "" {
			continue
		}
		must(t, d.Register(t.Context(), q, job.Mover{Name: c.mover})) // its answer was lost
		w.Created = w.Created.Add(time.Second)
		if q.Record, err = w.Encode(); err == nil {
			err = d.Register(t.Context(), q, job.Mover{Name: c.mover})
		}
		if ivd.KindOf(err) != ivd.Exists {
			t.Errorf("another writer under its id: %v", err)
		}
	}
	if err := d.Register(t.Context(), job.WriterRequest{Record: []byte("x")}, job.Mover{Name: "m"}); ivd.KindOf(err) != ivd.Corrupt {
		t.Errorf("what is no record: %v", err)
	}
}

// The keys of packs are given for those that the page of the job's point needs, under a
// lease that stands, and for nothing else.
func TestPackKeys(t *testing.T) {
	t.Parallel()
	r := repotest.Sealed(t)
	disk := func(content string) repotest.Point {
		d := repotest.NewDisk(ivd.Geometry{Capacity: 8 * ivd.MinChunkSize, ChunkSize: ivd.MinChunkSize})
		for i := range int64(8) {
			if _, err := d.WriteAt([]byte(content), i*ivd.MinChunkSize+i); err != nil {
				t.Fatal(err)
			}
		}
		return r.Save(d, repotest.Layout{ChunksPerPack: 2})
	}
	p, other := disk("one"), disk("another")
	needs := func(p repotest.Point) []ivd.PackRef {
		page, err := r.Page(t.Context(), p.Pages[0], p.Geometry)
		must(t, err)
		index := page.Entry(0).Place.PackRef
		return slices.DeleteFunc(slices.Clone(page.Packs), func(ref ivd.PackRef) bool { return ref == index })
	}
	lease := r.Lease(repo.ReadLease)
	log := &lines{}
	rs := &runs{}
	d := &custody.Desk{Repo: r.Repository, Fleet: strangers{"mallory": true}, Runs: rs, Log: slog.New(slog.NewTextHandler(log, nil))}
	reads := func(re engine.Reading, err error) func() (engine.Reading, error) {
		return func() (engine.Reading, error) { return re, err }
	}
	mine, foreign := needs(p), needs(other)
	if len(mine) != 4 {
		t.Fatalf("the point needs %d data packs", len(mine))
	}
	changed := mine[0]
	changed.Nonce[0]++
	for _, c := range []struct {
		what  string
		reads func() (engine.Reading, error)
		packs []ivd.PackRef
		page  ivd.PageIndex
		mover string
		kind  ivd.Kind
	}{
		{"those of the point", reads(engine.Reading{Point: p.ID, Lease: lease.ID}, nil), mine, 0, "m", ""},
		{"once more", reads(engine.Reading{Point: p.ID, Lease: lease.ID}, nil), mine[1:2], 0, "m", ""},
		{"without a lease, as the run says", reads(engine.Reading{Point: p.ID}, nil), mine, 0, "m", ""},
		{"a process that is not known", reads(engine.Reading{Point: p.ID, Lease: lease.ID}, nil), mine, 0, "mallory", ivd.Denied},
		{"another point's", reads(engine.Reading{Point: p.ID, Lease: lease.ID}, nil), foreign[:1], 0, "m", ivd.Denied},
		{"another point's among its own", reads(engine.Reading{Point: p.ID, Lease: lease.ID}, nil), []ivd.PackRef{mine[0], foreign[0]}, 0, "m", ivd.Denied},
		{"with another nonce", reads(engine.Reading{Point: p.ID, Lease: lease.ID}, nil), []ivd.PackRef{changed}, 0, "m", ivd.Denied},
		{"of a page that there is not", reads(engine.Reading{Point: p.ID, Lease: lease.ID}, nil), mine, 1, "m", ivd.Denied},
		{"for a job that reads no point", reads(engine.Reading{}, ivd.Errorf(ivd.Denied, "a backup")), mine, 0, "m", ivd.Denied},
		{"under a lease that is gone", reads(engine.Reading{Point: p.ID, Lease: "gone"}, nil), mine, 0, "m", ivd.Expired},
		{"of a point that is gone", reads(engine.Reading{Point: ivd.NewPointID(r.Domain(), "s", "d", time.Now(), "none"), Lease: lease.ID}, nil), mine, 0, "m", ivd.NotFound},
		{"those that it is to prove", reads(engine.Reading{Packs: foreign, Lease: lease.ID}, nil), foreign[1:2], 0, "m", ""},
		{"others than it is to prove", reads(engine.Reading{Packs: foreign, Lease: lease.ID}, nil), mine[:1], 0, "m", ivd.Denied},
		{"what it is to prove, under a lease that is gone", reads(engine.Reading{Packs: foreign, Lease: "gone"}, nil), foreign, 0, "m", ivd.Expired},
		{"no pack", reads(engine.Reading{Point: p.ID, Lease: lease.ID}, nil), nil, 0, "m", ivd.Invalid},
		{"too many", reads(engine.Reading{Point: p.ID, Lease: lease.ID}, nil), make([]ivd.PackRef, job.MaxPackKeys+1), 0, "m", ivd.Invalid},
	} {
		rs.reads = c.reads
		keys, err := d.PackKeys(t.Context(), job.PackKeysRequest{Repository: r.ID(), Claim: claim, Page: c.page, Packs: c.packs}, job.Mover{Name: c.mover})
		if ivd.KindOf(err) != c.kind || (err == nil) != (c.kind == "") || err != nil && keys != nil {
			t.Errorf("%s: %d keys, %v, want kind %q", c.what, len(keys), err, c.kind)
		}
		for i, k := range keys {
			data, want, err := r.ChunkKey(t.Context(), c.packs[i])
			if must(t, err); k.DataKey != data || !k.Key.Equal(want) {
				t.Errorf("%s: another key than that of pack %d", c.what, i)
			}
		}
	}
	given := 0
	for _, line := range log.said {
		if strings.Contains(line, "a job gets keys of packs") {
			given++
		}
	}
	if given != 2 { // at 4 and at 9: 5 is less than twice as many
		t.Errorf("that keys were given is said %d times: %v", given, log.said)
	}
	e := export(t, r)
	d = &custody.Desk{Repo: e, Fleet: strangers{}, Runs: rs, Log: d.Log}
	_, err := d.PackKeys(t.Context(), job.PackKeysRequest{Claim: claim, Packs: mine}, job.Mover{Name: "m"})
	if ivd.KindOf(err) != ivd.Denied || ivd.RemedyOf(err) == "" {
		t.Errorf("of a coordinator with an export: %v", err)
	}
}

// export is the repository as a coordinator has it that only backs up.
func export(t *testing.T, r *repotest.Repository) *repo.Repository {
	t.Helper()
	m, err := r.Master(t.Context(), repotest.Passphrase)
	must(t, err)
	e, err := m.Export(r.Domain(), "second", time.Now())
	must(t, err)
	ring, err := m.Ring()
	must(t, err)
	must(t, r.Store.Put(t.Context(), "keys/ring", ring))
	opened, err := repo.OpenWith(t.Context(), r.Store, repo.Keys{Export: &e})
	must(t, err)
	return opened
}
