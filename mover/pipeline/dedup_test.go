package pipeline

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"ivdmover/shared/index"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
	"ivdmover/shared/trust"
)

// estate is a repository that several movers write to, and what a perfect index would know
// of it: every chunk that is stored and may be built on.
type estate struct {
	*bench
	sparse  int64 // memory of a mover's sparse index
	proven  map[ivd.ContentID]bool
	tonight map[ivd.ContentID]bool // by whichever mover: not proven yet
	verdict map[ivd.PackID]bool
}

func newEstate(t *testing.T, o repo.InitOptions) *estate {
	return &estate{
		bench: newBenchWith(t, 96<<20, o), sparse: 1 << 20,
		proven: map[ivd.ContentID]bool{}, tonight: map[ivd.ContentID]bool{}, verdict: map[ivd.PackID]bool{},
	}
}

// mover is a process of one night: it knows what the repository tells, and no more.
type nightMover struct {
	writer
	lease repo.Lease
	own   map[ivd.ContentID]bool // what it has stored
}

func (e *estate) mover(unproven bool) *nightMover {
	e.t.Helper()
	l := e.lease(repo.WriteLease)
	s := trust.NewSparse(e.repo, e.sparse)
	if err := s.Refresh(e.t.Context()); err != nil {
		e.t.Fatal(err)
	}
	w := e.writer(l)
	w.index = index.New(4<<20, index.Sparse{Hooks: s.Hooks(), Unproven: unproven, Failed: func(err error) { e.t.Error(err) }})
	return &nightMover{writer: w, lease: l, own: map[ivd.ContentID]bool{}}
}

// backup backs a disk up in full, and returns how many of its bytes a perfect index finds.
func (e *estate) backup(m *nightMover, d *memoryDisk) (p *point, stats ivd.Stats, perfect int64) {
	e.t.Helper()
	g := ivd.Geometry{Capacity: d.capacity, ChunkSize: cs}
	j := e.job(m.lease, g, job.BackupSpec{Unread: job.UnreadZero, Allocated: true})
	rec := e.record(j)
	if err := e.attempt(e.t.Context(), m.writer, j, &rec, d, nil); err != nil {
		e.t.Fatal(err)
	}
	buf, zero := make([]byte, cs), make([]byte, cs)
	for at := int64(0); at < d.capacity; at += cs {
		chunk := buf[:min(cs, d.capacity-at)]
		if err := d.ReadAt(e.t.Context(), chunk, at); err != nil {
			e.t.Fatal(err)
		}
		if bytes.Equal(chunk, zero[:len(chunk)]) {
			continue
		}
		id := e.repo.Suite().ID(chunk)
		if e.proven[id] || m.own[id] {
			perfect += int64(len(chunk))
		}
		m.own[id], e.tonight[id] = true, true
	}
	return e.commit(m.lease, j, &rec, d), rec.Stats, perfect
}

// dawn ends a night: the movers leave their hooks, and what is new is proven.
func (e *estate) dawn(movers ...*nightMover) {
	e.t.Helper()
	for n, m := range movers {
		if err := m.PutHooks(e.t.Context(), ivd.RunID(fmt.Sprintf("night-%04d-%d", len(e.verdict), n))); err != nil {
			e.t.Fatal(err)
		}
	}
	var fresh []ivd.PackID
	for p, err := range e.repo.Packs(e.t.Context()) {
		if err != nil {
			e.t.Fatal(err)
		}
		if p.Kind != 1 || e.verdict[p.ID] {
			continue
		}
		e.verdict[p.ID] = true
		damage, err := e.repo.ProvePack(e.t.Context(), p.ID, nil)
		if err != nil {
			e.t.Fatal(err)
		}
		if damage == nil {
			fresh = append(fresh, p.ID)
		}
	}
	if err := e.repo.PutVerified(e.t.Context(), "every frame was opened", fresh); err != nil {
		e.t.Fatal(err)
	}
	for id := range e.tonight {
		e.proven[id] = true
	}
	clear(e.tonight)
}

// template is the disk of an installed system: text and noise in pieces that lie here and
// there, with holes between them.
func template(seed uint64, size int64) *memoryDisk {
	d := newMemoryDisk(size)
	rnd := rand.New(rand.NewPCG(seed, 7))
	for at := int64(0); at < size; {
		n := min(size-at, (1+rnd.Int64N(40))*cs)
		if rnd.IntN(4) > 0 {
			b := noise(rnd.Uint64(), int(n))
			for i := 0; i < len(b); i += 8 {
				clear(b[i : i+4]) // half of it compresses
			}
			if err := d.WriteAt(context.Background(), b, at); err != nil {
				panic(err)
			}
		}
		at += n
	}
	return d
}

// personal is a template with the files that make a machine its own, each of up to 64 KiB: in
// all about so many of a hundred chunks are others then.
func personal(of *memoryDisk, seed uint64, percent int64) *memoryDisk {
	d := of.clone()
	rnd := rand.New(rand.NewPCG(seed, 9))
	for range d.capacity / cs * percent / 100 {
		b := noise(rnd.Uint64(), sector*(1+rnd.IntN(128)))
		if err := d.WriteAt(context.Background(), b, sector*rnd.Int64N((d.capacity-int64(len(b)))/sector)); err != nil {
			panic(err)
		}
	}
	return d
}

// Of what a perfect index finds at least 95 % is found: of two disks that were made from one
// template, of a disk that was moved to another datastore and is another mover's on another
// day, of ten disks of one operating system. The packs are proven between the days.
//
//	go test -v -run TestDeduplication ./mover/pipeline
func TestDeduplication(t *testing.T) {
	const size = 64 << 20
	for name, o := range map[string]repo.InitOptions{"plain": {}, "encrypted": encrypted} {
		t.Run(name, func(t *testing.T) {
			e := newEstate(t, o)
			judge := func(what string, found, perfect int64) {
				t.Helper()
				t.Logf("%s: %5.1f %% of what a perfect index finds: %d of %d MiB", what, 100*float64(found)/float64(max(1, perfect)), found>>20, perfect>>20)
				if perfect < size/3 || found*100 < perfect*95 || found > perfect {
					t.Errorf("%s: %d bytes were found, a perfect index finds %d", what, found, perfect)
				}
			}
			of := template(1, size)
			moved := template(2, size)
			first := e.mover(false)
			e.backup(first, personal(of, 10, 3))
			e.backup(first, moved)
			e.dawn(first)

			second := e.mover(false)
			p, stats, perfect := e.backup(second, personal(of, 11, 3))
			judge("the other disk of a template", stats.DedupBytes, perfect)
			e.restore(p)
			p, stats, perfect = e.backup(second, moved)
			judge("a disk that was moved", stats.DedupBytes, perfect)
			e.restore(p)
			e.dawn(second)

			system := template(3, size)
			a := e.mover(false)
			e.backup(a, personal(system, 20, 5))
			e.dawn(a)
			var found, all int64
			for n := range uint64(9) { // one a day, each by a mover of its own
				m := e.mover(false)
				p, stats, perfect = e.backup(m, personal(system, 21+n, 5))
				found, all = found+stats.DedupBytes, all+perfect
				if n%3 == 2 {
					e.restore(p)
				}
				e.dawn(m)
			}
			judge("ten disks of one operating system", found, all)
		})
	}
}
