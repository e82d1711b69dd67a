package pipeline

import (
	"testing"

	"ivdmover/shared/format"
	"ivdmover/shared/index"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/dir"
	"ivdmover/shared/store/faults"
	"ivdmover/shared/trust"
)

// lie has a mover store a pack whose directory and hooks say that it has the chunks of a
// disk: what is in it is something else.
func (e *estate) lie(d *memoryDisk) *nightMover {
	e.t.Helper()
	m := e.mover(false)
	p := m.NewPack(format.DataPack)
	buf := make([]byte, cs)
	for at := int64(0); at < d.capacity; at += cs {
		if err := d.ReadAt(e.t.Context(), buf, at); err != nil {
			e.t.Fatal(err)
		}
		p.Add(format.ChunkFrame, e.repo.Suite().ID(buf), 7, format.CompressionNone, []byte("rubbish"))
	}
	if _, _, _, err := m.PutPack(e.t.Context(), p); err != nil {
		e.t.Fatal(err)
	}
	return m
}

// A mover that lies about what it has stored can lie about the disks that it reads itself,
// and about no other's: its pack is not proven, and others' disks come back. Who takes
// unproven packs has that counted.
func TestLiarHurtsNobodyElse(t *testing.T) {
	for name, o := range map[string]repo.InitOptions{"plain": {}, "encrypted": encrypted} {
		t.Run(name, func(t *testing.T) {
			e := newEstate(t, o)
			d := newMemoryDisk(40 * cs)
			d.put(t, 0, noise(40, 40*cs))
			liar := e.lie(d)
			e.dawn(liar)
			p, stats, _ := e.backup(e.mover(false), d)
			if stats.DedupBytes != 0 || stats.NewBytes != d.capacity {
				t.Errorf("a lie was built on: %+v", stats)
			}
			e.restore(p)
			careless := e.mover(true)
			_, stats, _ = e.backup(careless, d)
			if stats.UnprovenBytes == 0 || stats.UnprovenBytes != stats.DedupBytes {
				t.Errorf("unproven packs are wanted, and not counted: %+v", stats)
			}
		})
	}
}

// An estate's second night, in which the store fails at what deduplication asks: whichever
// request fails, once or always, the backup is done, and its point is whole.
func TestBackupGoesOnWithoutDeduplication(t *testing.T) {
	for name, o := range map[string]repo.InitOptions{"plain": {}, "encrypted": encrypted} {
		t.Run(name, func(t *testing.T) {
			st, err := dir.Open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			e := newEstate(t, o)
			if e.repo, err = repo.Init(t.Context(), st, o); err != nil {
				t.Fatal(err)
			}
			e.store = st
			of := template(4, 4<<20)
			first := e.mover(false)
			e.backup(first, of)
			e.dawn(first)
			clean := e.repo
			night := func(fails ...faults.Fault) (*point, ivd.Stats) {
				t.Helper()
				if e.repo, err = repo.OpenWith(t.Context(), faults.New(t, st, fails...), repo.Keys{Passphrase: o.Passphrase}); err != nil {
					t.Fatal(err)
				}
				l := e.lease(repo.WriteLease)
				s, m := trust.NewSparse(e.repo, e.sparse), e.writer(l)
				_ = s.Refresh(t.Context())
				m.index = index.New(4<<20, index.Sparse{Hooks: s.Hooks()})
				j := e.job(l, ivd.Geometry{Capacity: of.capacity, ChunkSize: cs}, job.BackupSpec{Unread: job.UnreadZero, Allocated: true})
				rec := e.record(j)
				if err := e.attempt(t.Context(), m, j, &rec, of, nil); err != nil {
					t.Fatalf("%+v: %v", fails, err)
				}
				e.repo = clean
				return e.commit(l, j, &rec, of), rec.Stats
			}
			_, all := night()
			if all.NewBytes != 0 {
				t.Fatalf("nothing is new: %+v", all)
			}
			away := ivd.Errorf(ivd.Transient, "the store is away")
			places := []faults.Fault{
				{On: faults.List, Prefix: "hooks/"},
				{On: faults.List, Prefix: "verified/"},
				{On: faults.Get, Prefix: "hooks/"},
				{On: faults.Get, Prefix: "verified/"},
				{On: faults.Stat, Prefix: "data/"},
				{On: faults.ReadAt, Prefix: "data/"},
				{On: faults.ReadAt, Prefix: "data/", Call: 2},
			}
			if name == "encrypted" {
				places = append(places, faults.Fault{On: faults.Get, Prefix: "writers/"})
			}
			for _, f := range places {
				for _, f.Times = range []int{1, faults.Always} {
					for _, f.Before = range []error{away, ivd.Errorf(ivd.NotFound, "gone"), ivd.Errorf(ivd.Corrupt, "rubbish")} {
						if isAway := ivd.KindOf(f.Before) == ivd.Transient; name == "encrypted" && !isAway && f.Prefix != "writers/" {
							continue // it is as in a plain one
						}
						p, stats := night(f)
						if stats.NewBytes+stats.DedupBytes != all.DedupBytes {
							t.Errorf("%+v: %+v", f, stats)
						}
						if ivd.KindOf(f.Before) == ivd.Transient {
							e.restore(p)
						}
					}
				}
			}
			if _, stats := night(); stats.NewBytes != 0 {
				t.Errorf("the store is back, and %d bytes are new", stats.NewBytes)
			}
		})
	}
}
