package pipeline

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// lengths are the ways to damage a pack that change that it is there, its length or
// its end.
var lengths = map[string]func([]byte) []byte{
	"gone":    nil,
	"cut off": func(b []byte) []byte { return b[:len(b)/2] },
	"emptied": func([]byte) []byte { return []byte{} },
	"longer":  func(b []byte) []byte { return append(bytes.Clone(b), 1) },
	"zeroed":  func(b []byte) []byte { return make([]byte, len(b)) },
}

func (b *bench) damage(kind format.PackKind, pack ivd.PackID, to func([]byte) []byte) {
	b.t.Helper()
	if to == nil {
		b.delete(kind, pack)
		return
	}
	name := b.repo.PackName(kind, pack)
	o, err := b.store.Get(b.t.Context(), name, format.MaxPackSize)
	if err == nil {
		err = b.store.Put(b.t.Context(), name, to(o.Body))
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// A child of which a part is read builds on nothing that is not there in its length,
// says so, and can be restored: what lay there is read anew. So does a backup that
// reads all, which deduplicates only against what it has asked for.
func TestDamagedLengthIsNotBuiltOn(t *testing.T) {
	for name, to := range lengths {
		for how, spec := range map[string]func(g ivd.Geometry, areas []ivd.Extent) job.BackupSpec{
			"what changed": func(g ivd.Geometry, areas []ivd.Extent) job.BackupSpec {
				return job.BackupSpec{Unread: job.UnreadParent, Spans: marked(g, areas)}
			},
			"all that is allocated": func(_ ivd.Geometry, _ []ivd.Extent) job.BackupSpec {
				return job.BackupSpec{Unread: job.UnreadZero, Allocated: true}
			},
			"all that is in use": func(g ivd.Geometry, _ []ivd.Extent) job.BackupSpec {
				return job.BackupSpec{Unread: job.UnreadZero, Spans: marked(g, []ivd.Extent{{Length: g.Capacity}})}
			},
		} {
			t.Run(name+", read "+how, func(t *testing.T) {
				b := newBench(t, 64<<20)
				b.limits = Limits{Bytes: 1 << 20}
				d := newMemoryDisk(3*spanBytes + 3*sector)
				d.fill(rand.New(rand.NewPCG(21, 22)), 40)
				g := ivd.Geometry{Capacity: d.capacity, ChunkSize: cs}
				first, _ := b.backup(d, cs, job.BackupSpec{Unread: job.UnreadZero, Allocated: true})
				data := b.stored("data/")
				if len(data) < 2 {
					t.Fatalf("%d data packs", len(data))
				}
				for _, pack := range data {
					b.damage(format.DataPack, pack, to)
				}
				var areas []ivd.Extent
				for span := range g.Spans() {
					areas = append(areas, d.put(t, g.Span(span).Offset, noise(uint64(span+5), sector)))
				}
				l := b.lease("write")
				j := b.job(l, g, spec(g, areas))
				j.Backup.Parent = first.parent()
				j.Backup.Parent.SealedAt = b.repo.Now() // of a moment ago: no pack has had its turn since
				j.Backup.Parent.Point = ivd.NewPointID(b.repo.Domain(), b.disk.Source(), b.disk.ID(), b.repo.Now(), "run")
				rec := b.record(j)
				if err := b.attempt(t.Context(), b.writer(l), j, &rec, d, nil); err != nil {
					t.Fatal(err)
				}
				child := b.commit(l, j, &rec, d)
				for _, id := range b.named(child) {
					if slices.Contains(data, id) {
						t.Errorf("the child names pack %s", id)
					}
				}
				if len(rec.Damaged) != len(data) || rec.Stats.Asked == 0 {
					t.Errorf("%d packs of %d are told of, by %d requests", len(rec.Damaged), len(data), rec.Stats.Asked)
				}
				b.restore(child)
			})
		}
	}
}

// Damage of an index pack is found when the parent is read: it is told of, and costs
// a full read of what it says.
func TestDamagedIndexIsTold(t *testing.T) {
	b := newBench(t, 64<<20)
	d := newMemoryDisk(2 * spanBytes)
	d.fill(rand.New(rand.NewPCG(23, 24)), 20)
	g := ivd.Geometry{Capacity: d.capacity, ChunkSize: cs}
	first, _ := b.backup(d, cs, job.BackupSpec{Unread: job.UnreadZero, Allocated: true})
	for _, pack := range b.stored("index/") {
		b.damage(format.IndexPack, pack, func(body []byte) []byte {
			for _, p := range first.Pages {
				body[p.Place.Offset+70] ^= 8
			}
			return body
		})
	}
	area := d.put(t, 0, noise(5, sector))
	l := b.lease("write")
	j := b.job(l, g, job.BackupSpec{Unread: job.UnreadParent, Parent: first.parent(), Spans: marked(g, []ivd.Extent{area})})
	rec := b.record(j)
	if err := b.attempt(t.Context(), b.writer(l), j, &rec, d, nil); err != nil {
		t.Fatal(err)
	}
	if len(rec.Damaged) != 1 || !rec.Damaged[0].Index {
		t.Errorf("told of %v", rec.Damaged)
	}
	b.restore(b.commit(l, j, &rec, d))
}
