package pipeline

import (
	"context"
	"errors"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
	"ivdmover/shared/store"
)

func (b *bench) stored(prefix string) []ivd.PackID {
	b.t.Helper()
	var list []ivd.PackID
	for info, err := range b.store.List(b.t.Context(), prefix) {
		if err != nil {
			b.t.Fatal(err)
		}
		id, err := ivd.ParsePackID(path.Base(string(info.Name)))
		if err != nil {
			b.t.Fatal(err)
		}
		list = append(list, id)
	}
	return list
}

func (b *bench) condemn(packs ...ivd.PackID) {
	b.t.Helper()
	name := "collect/" + b.repo.Domain().String() + "/c1/condemned"
	head := format.Head{Repository: b.repo.ID(), Domain: b.repo.Domain(), Object: name, Program: "a test"}
	body, err := format.Condemned{Head: head, Created: time.Now(), Packs: packs}.Encode()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.store.Put(b.t.Context(), store.Name(name), body); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) delete(kind format.PackKind, packs ...ivd.PackID) {
	b.t.Helper()
	for _, p := range packs {
		if err := b.store.Delete(b.t.Context(), b.repo.PackName(kind, p)); err != nil {
			b.t.Fatal(err)
		}
	}
}

// named are the packs that a point needs.
func (b *bench) named(p *point) []ivd.PackID {
	b.t.Helper()
	var list []ivd.PackID
	for _, ref := range p.Pages {
		page, err := b.repo.Page(b.t.Context(), ref, p.Geometry)
		if err != nil {
			b.t.Fatal(err)
		}
		list = append(list, ref.Place.Pack)
		for _, r := range page.Packs {
			list = append(list, r.Pack)
		}
	}
	return list
}

// A child builds on nothing that is condemned, although its parent's point stands:
// what lies in condemned packs is read anew, and the child outlives their deletion.
func TestNothingCondemnedIsBuiltOn(t *testing.T) {
	for _, c := range []struct {
		name        string
		data, index int // how many packs of each kind are condemned
		before      bool
	}{
		{"a data pack", 1, 0, false},
		{"an index pack", 0, 1, false},
		{"all of both", 99, 99, false},
		{"an index pack that is gone already", 0, 1, true},
		{"all of both, gone already", 99, 99, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, 64<<20)
			b.limits = Limits{Bytes: 1 << 20}
			rnd := rand.New(rand.NewPCG(9, 10))
			d := newMemoryDisk(6*4*spanBytes + 3*sector)
			d.fill(rnd, 80)
			parent, _ := b.backup(d, cs, job.BackupSpec{Unread: job.UnreadZero, Allocated: true})
			data, index := b.stored("data/"), b.stored("index/")
			if len(data) < 3 || len(index) < 3 {
				t.Fatalf("only %d data packs and %d index packs", len(data), len(index))
			}
			data, index = data[:min(c.data, len(data))], index[:min(c.index, len(index))]
			condemned := append(slices.Clone(data), index...)
			b.condemn(condemned...)
			if c.before {
				b.delete(format.DataPack, data...)
				b.delete(format.IndexPack, index...)
			}
			g := ivd.Geometry{Capacity: d.capacity, ChunkSize: cs}
			areas := d.fill(rnd, 3)
			p, _ := b.backup(d, cs, job.BackupSpec{Unread: job.UnreadParent, Parent: parent.parent(), Spans: marked(g, areas)})
			for _, id := range b.named(p) {
				if slices.Contains(condemned, id) {
					t.Errorf("the child names pack %s", id)
				}
			}
			b.delete(format.DataPack, data...)
			b.delete(format.IndexPack, index...)
			b.restore(p)
		})
	}
}

// A checkpoint under an older lease is gone on with only where all that it names
// may be relied on.
func TestCondemnedCheckpointIsNotGoneOnWith(t *testing.T) {
	t.Run("in the page begun", func(t *testing.T) { condemnCheckpoint(t, 8*spanBytes, 3) })
	t.Run("in a page that is complete", func(t *testing.T) { condemnCheckpoint(t, (ivd.SpansPerPage+3)*spanBytes, ivd.SpansPerPage+1) })
}

func condemnCheckpoint(t *testing.T, size int64, until ivd.SpanIndex) {
	b := newBench(t, 64<<20)
	b.limits = Limits{Bytes: 1}
	d := newMemoryDisk(size)
	d.fill(rand.New(rand.NewPCG(11, 12)), 80)
	l := b.lease(repo.WriteLease)
	j := b.job(l, ivd.Geometry{Capacity: d.capacity, ChunkSize: cs}, job.BackupSpec{Unread: job.UnreadZero, Allocated: true})
	rec := b.record(j)
	d.put(t, int64(until-1)*spanBytes, noise(99, cs)) // so that there is a batch to seal
	stop := make(chan struct{})
	w := b.writer(l)
	err := Backup{
		Job: j, Source: d, Repository: b.repo, Writer: w.Writer, Trust: w.trust, Index: w.index, Memory: b.memory, Meter: new(Meter), Limits: b.limits, Stop: stop,
		Checkpoint: func(_ context.Context, c Batch) error {
			seal(&rec, l.ID, c)
			if c.Next == until {
				close(stop)
			}
			return nil
		},
	}.Run(t.Context())
	if !errors.Is(err, ErrStopped) || rec.Next != until+1 || len(rec.Pages) != int(until/ivd.SpansPerPage) {
		t.Fatalf("%v; the record is at %d with pages %v", err, rec.Next, rec.Pages)
	}
	data := b.stored("data/")
	b.condemn(data[0])
	b.delete(format.DataPack, data[0])
	l = b.lease(repo.WriteLease) // a successor's
	j.Lease = l.ID
	if err := b.attempt(t.Context(), b.writer(l), j, &rec, d, nil); err != nil {
		t.Fatal(err)
	}
	b.restore(b.commit(l, j, &rec, d))
}

// What was stored is what a point names, and nothing that is damaged comes back
// as if it were whole.
func TestDamageIsNotRestored(t *testing.T) {
	b := newBench(t, 64<<20)
	d := newMemoryDisk(4 * spanBytes)
	d.fill(rand.New(rand.NewPCG(13, 14)), 20)
	p, _ := b.backup(d, cs, job.BackupSpec{Unread: job.UnreadZero, Allocated: true})
	name := b.repo.PackName(format.DataPack, b.stored("data/")[0])
	o, err := b.store.Get(t.Context(), name, format.MaxPackSize)
	if err != nil {
		t.Fatal(err)
	}
	damage := slices.Clone(o.Body)
	damage[len(damage)/2] ^= 1
	if err := b.store.Put(t.Context(), name, damage); err != nil {
		t.Fatal(err)
	}
	var rec job.Record
	err = b.restoreAttempt(t.Context(), *b.restoreJob(p, true), &rec, newMemoryDisk(d.capacity), nil)
	if ivd.KindOf(err) != ivd.Corrupt || !strings.Contains(err.Error(), path.Base(string(name))) {
		t.Fatalf("err = %v", err)
	}
	if rec.State == job.Done {
		t.Fatal("the restore says that it is done")
	}
}

// What of the parent says something that this release does not know is not taken
// for lost: the backup ends, says so, and stores nothing in its place.
func TestUnknownParentIsNotTakenForLost(t *testing.T) {
	for name, at := range map[string]func(p *point, page *format.Page) ivd.Place{
		"its page": func(p *point, _ *format.Page) ivd.Place { return p.Pages[0].Place },
		"a node":   func(_ *point, page *format.Page) ivd.Place { return page.Ref(0).Place },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 64<<20)
			d := newMemoryDisk(4 * spanBytes)
			d.put(t, 0, noise(1, 3*cs))
			parent, _ := b.backup(d, cs, job.BackupSpec{Unread: job.UnreadZero, Allocated: true})
			page, err := b.repo.Page(t.Context(), parent.Pages[0], parent.Geometry)
			if err != nil {
				t.Fatal(err)
			}
			place := at(parent, page)
			object := b.repo.PackName(format.IndexPack, place.Pack)
			o, err := b.store.Get(t.Context(), object, format.MaxPackSize)
			if err != nil {
				t.Fatal(err)
			}
			newer := slices.Clone(o.Body)
			newer[place.Offset+4] = 2 // the frame's version
			if err := b.store.Put(t.Context(), object, newer); err != nil {
				t.Fatal(err)
			}
			packs := append(b.stored("data/"), b.stored("index/")...)
			area := d.put(t, cs, noise(2, cs))
			l := b.lease(repo.WriteLease)
			g := ivd.Geometry{Capacity: d.capacity, ChunkSize: cs}
			j := b.job(l, g, job.BackupSpec{Unread: job.UnreadParent, Parent: parent.parent(), Spans: marked(g, []ivd.Extent{area})})
			rec := b.record(j)
			err = b.attempt(t.Context(), b.writer(l), j, &rec, d, nil)
			if ivd.KindOf(err) != ivd.Unsupported || !strings.Contains(err.Error(), "version 2") || rec.State == job.Done {
				t.Errorf("the job is %q: %v", rec.State, err)
			}
			if now := append(b.stored("data/"), b.stored("index/")...); !slices.Equal(now, packs) {
				t.Errorf("packs %v, before %v", now, packs)
			}
		})
	}
}
