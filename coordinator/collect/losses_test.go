package collect_test

import (
	"context"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"ivdmover/coordinator/collect"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// stage plays one history that somebody has written, step by step.
type stage struct {
	*history
	t    *testing.T
	ctx  context.Context
	runs int
}

// onStage runs a play in a bubble, and sees at its end that every point restores.
func onStage(t *testing.T, play func(*stage)) {
	synctest.Test(t, func(t *testing.T) {
		h, err := newHistory(context.Background(), &script{})
		if err != nil {
			t.Fatal(err)
		}
		s := &stage{history: h, t: t, ctx: context.Background()}
		play(s)
		h.end(s.ctx)
		if h.broken != "" {
			t.Errorf("%s\n%s", h.broken, strings.Join(h.w.log, "\n"))
		}
	})
}

// until lets an actor go on until it asks for that, which stays unanswered; false: it has
// ended before.
func (s *stage) until(a *actor, op, prefix string) bool {
	for {
		synctest.Wait()
		if a.ended() {
			return false
		}
		var next *request
		for _, q := range s.w.requests() {
			if q.who == a && q.op == op && strings.HasPrefix(q.name, prefix) && !s.tries(q) {
				return true
			}
			if q.who == a && next == nil {
				next = q
			}
		}
		if next == nil {
			time.Sleep(time.Second)
			continue
		}
		s.w.choose(next, happens)
	}
}

// tries reports whether a request only tries whether its sender may delete.
func (s *stage) tries(q *request) bool {
	return q.op == "delete" && (strings.HasSuffix(q.name, "/"+ivd.PackID{}.String()) || strings.Contains(q.name, uuid.Nil.String()))
}

// must lets an actor go on until it asks for that.
func (s *stage) must(a *actor, op, prefix string) {
	s.t.Helper()
	if !s.until(a, op, prefix) {
		s.t.Fatalf("%s ends before it comes to %s %s: %v", a.name, op, prefix, a.err)
	}
}

// finish lets an actor go on to its end.
func (s *stage) finish(a *actor) error {
	s.until(a, "", "nothing is called so")
	return a.err
}

// begins is an actor that has begun: a backup, whose seed says what it changes, or a
// collector.
func (s *stage) begins(disk ivd.DiskID, seed int) *actor {
	s.runs++
	run := ivd.RunID("run-" + string(rune('a'+s.runs)))
	a := s.w.start("backup "+string(run), func(ctx context.Context) error { return s.backup(ctx, run, disk, seed) })
	s.actors = append(s.actors, a)
	return a
}

func (s *stage) collector() *actor {
	s.runs++
	a := s.w.start("collector "+string(rune('a'+s.runs)), s.collect)
	s.actors = append(s.actors, a)
	return a
}

// save makes a point, a second after the one before.
func (s *stage) save(disk ivd.DiskID, seed int) ivd.PointID {
	s.t.Helper()
	time.Sleep(time.Second)
	before := len(s.committed)
	if err := s.finish(s.begins(disk, seed)); err != nil || len(s.committed) != before+1 {
		s.t.Fatalf("a backup: %v", err)
	}
	id := ivd.PointID("")
	for p := range s.committed {
		if p.Disk() == disk && (id == "" || p > id) {
			id = p
		}
	}
	return id
}

func (s *stage) giveUp(id ivd.PointID) {
	s.t.Helper()
	s.forgotten[id] = true
	if err := s.r.Forget(s.ctx, format.Forgotten{Point: id, Reason: "a test"}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) done(a *actor) {
	s.t.Helper()
	if err := s.finish(a); err != nil {
		s.t.Fatalf("%s: %v", a.name, err)
	}
}

// The seeds of backups that change one chunk, each another one.
const seedA, seedB, seedC = 1, 7, 22

// A new point that is built on a parent which is given up, condemned and deleted before
// the new one is there (Proxmox PSA-2025-00019-1).
func TestParentIsGivenUpUnderItsChild(t *testing.T) {
	onStage(t, func(s *stage) {
		s.save("disk-0", seedA)
		parent := s.save("disk-0", seedB)
		time.Sleep(time.Second)
		child := s.begins("disk-0", seedC)
		s.must(child, "send", "points/")
		s.giveUp(parent)
		s.done(s.collector()) // it waits for the child's lease
		if _, _, err := s.r.ReadPoint(s.ctx, parent); err != nil {
			t.Fatalf("the parent is deleted under the child: %v", err)
		}
		s.done(child)
		s.done(s.collector())
		if _, _, err := s.r.ReadPoint(s.ctx, parent); ivd.KindOf(err) != ivd.NotFound {
			t.Errorf("the parent is not deleted: %v", err)
		}
	})
}

// What is stored while an object of the same content is being deleted is another object.
func TestUploadBesideADeletion(t *testing.T) {
	onStage(t, func(s *stage) {
		dead := s.begins("disk-0", seedA)
		s.must(dead, "send", "points/")
		s.w.die(dead, false) // its packs are garbage
		time.Sleep(3 * 24 * time.Hour)
		c := s.collector()
		s.must(c, "delete", "data/")
		clear(s.mem.places)
		s.save("disk-1", seedA) // the same content
		s.done(c)
	})
}

// A backup that begins and ends while the collection lists the points.
func TestBackupWhileTheCollectionLists(t *testing.T) {
	onStage(t, func(s *stage) {
		dead := s.begins("disk-0", seedA)
		s.must(dead, "send", "points/")
		s.w.die(dead, false)
		time.Sleep(3 * 24 * time.Hour)
		c := s.collector()
		s.must(c, "listed", "points/")
		s.save("disk-1", seedA) // from what the dead one has stored
		s.done(c)
	})
}

// A commit whose answer is lost arrives after its coordinator has died: its lease stands
// until then, and is waited for.
func TestCommitThatIsStillOnItsWay(t *testing.T) {
	onStage(t, func(s *stage) {
		first := s.save("disk-0", seedA)
		s.save("disk-0", seedB)
		late := s.begins("disk-1", seedA) // remembers what the first one has stored
		s.must(late, "send", "points/")
		s.giveUp(first)
		s.w.die(late, true)
		s.done(s.collector())
		if len(s.w.wire) != 1 {
			t.Fatalf("%d requests are on their way", len(s.w.wire))
		}
		s.w.arrive(0)
		time.Sleep(25 * time.Hour)
		s.done(s.collector())
	})
}

// Two collectors execute one list, and one of them is days late.
func TestTwoCollectorsOneLate(t *testing.T) {
	onStage(t, func(s *stage) {
		first := s.save("disk-0", seedA)
		s.save("disk-0", seedB)
		s.giveUp(first)
		late := s.collector()
		s.must(late, "delete", "points/")
		s.done(s.collector())
		time.Sleep(3 * 24 * time.Hour)
		s.save("disk-1", seedA)
		s.done(late)
		time.Sleep(6 * 24 * time.Hour)
		s.save("disk-0", seedC)
	})
}

// A collector dies when it has published its list; another one goes on with it.
func TestCollectorDiesWithItsListPublished(t *testing.T) {
	for _, at := range []struct{ op, prefix string }{{"list", "leases/"}, {"send", "collect/"}, {"delete", "points/"}, {"delete", "data/"}, {"delete", "index/"}, {"delete", "forgotten/"}} {
		t.Run(at.op+" "+strings.TrimSuffix(at.prefix, "/"), func(t *testing.T) {
			onStage(t, func(s *stage) {
				first := s.save("disk-0", seedA)
				s.save("disk-0", seedB)
				s.giveUp(first)
				dying := s.collector()
				s.must(dying, "send", "collect/")
				s.w.choose(s.w.requests()[0], happens)
				s.must(dying, at.op, at.prefix)
				s.w.die(dying, true)
				s.done(s.collector())
				if _, _, err := s.r.ReadPoint(s.ctx, first); ivd.KindOf(err) != ivd.NotFound {
					t.Errorf("the point that was given up: %v", err)
				}
			})
		})
	}
}

// A child is added and its parent removed while the points are listed: the listing need
// not show either of them.
func TestChildComesAndParentGoesWithinOneList(t *testing.T) {
	onStage(t, func(s *stage) {
		s.save("disk-0", seedA)
		parent := s.save("disk-0", seedB)
		other := s.collector() // is about to delete the parent
		s.giveUp(parent)
		child := s.begins("disk-0", seedC)
		s.must(child, "send", "points/")
		s.done(other)
		c := s.collector()
		s.must(c, "listed", "points/")
		s.done(child)
		s.done(s.collector())
		s.done(c)
	})
}

// A list is removed while a writer reads the lists: that is no damage, and whoever is so
// slow commits nothing.
func TestListGoesWhileAWriterReadsTheLists(t *testing.T) {
	onStage(t, func(s *stage) {
		first := s.save("disk-0", seedA)
		s.save("disk-0", seedB)
		s.giveUp(first)
		s.done(s.collector())
		time.Sleep(8*24*time.Hour + 2*time.Hour)
		slow := s.begins("disk-1", seedA)
		s.must(slow, "get", "collect/")
		s.done(s.collector()) // removes the list
		if err := s.finish(slow); err != nil {
			t.Errorf("a writer that finds a list gone: %v", err)
		}
	})
}

// Whatever request of a collection fails, nothing is lost, and the next one finishes: a
// failure is never taken for absence, nor for damage.
func TestAnyRequestOfACollectionFails(t *testing.T) {
	for n := 0; ; n++ {
		ended := false
		onStage(t, func(s *stage) {
			first := s.save("disk-0", seedA)
			s.save("disk-0", seedB)
			s.giveUp(first)
			c := s.collector()
			for k := 0; k < n; k++ {
				synctest.Wait()
				waiting := s.w.requests()
				if len(waiting) == 0 {
					ended = true
					break
				}
				s.w.choose(waiting[0], happens)
			}
			synctest.Wait()
			if waiting := s.w.requests(); len(waiting) > 0 {
				s.w.choose(waiting[0], fails)
			}
			if err := s.finish(c); err != nil && ivd.KindOf(err) != ivd.Transient {
				t.Errorf("request %d fails: %v", n, err)
			}
			s.done(s.collector())
			if _, _, err := s.r.ReadPoint(s.ctx, first); ivd.KindOf(err) != ivd.NotFound {
				t.Errorf("request %d fails: the point that was given up: %v", n, err)
			}
		})
		if ended {
			if n < 20 {
				t.Errorf("a collection has only %d requests", n)
			}
			return
		}
	}
}

// The last good point of a disk stays, whatever was given up, and so does what is pinned.
func TestLastGoodPointStays(t *testing.T) {
	onStage(t, func(s *stage) {
		pinned, first, second := s.save("disk-0", seedA), s.save("disk-1", seedA), s.save("disk-1", seedB)
		s.save("disk-0", seedB)
		if err := s.r.Pin(s.ctx, pinned, "a test"); err != nil {
			t.Fatal(err)
		}
		for _, id := range []ivd.PointID{pinned, first, second} {
			s.giveUp(id)
		}
		rep, err := collect.New(s.r, collect.Options{MaxShare: 1}).Collect(s.ctx)
		if err != nil || len(rep.Kept) != 2 || rep.Deleted.Points != 1 {
			t.Fatalf("%+v, %v", rep, err)
		}
		for id, stays := range map[ivd.PointID]bool{pinned: true, first: false, second: true} {
			if _, _, err := s.r.ReadPoint(s.ctx, id); (err == nil) != stays {
				t.Errorf("%s stays: %v", id, err)
			}
		}
	})
}

// A point that turns out to be damaged while a collection runs is no longer the one for
// which another may go.
func TestPointIsDamagedWhileACollectionRuns(t *testing.T) {
	onStage(t, func(s *stage) {
		whole := s.save("disk-0", seedA)
		before := s.w.names("data/")
		s.save("disk-0", seedB)
		s.giveUp(whole)
		c := s.collector()
		s.must(c, "send", "collect/")
		packs := s.packsSince(before)
		if err := s.r.Retire(s.ctx, "a test", packs); err != nil || len(packs) == 0 {
			t.Fatalf("%v, %v", packs, err)
		}
		s.done(c)
		if _, _, err := s.r.ReadPoint(s.ctx, whole); err != nil {
			t.Errorf("the last good point: %v", err)
		}
	})
}

// A point that one executor of a list has spared may still be deleted by another one, for
// a day after the first has ended: it is none for which another point of the disk may go.
func TestSparedPointMayStillGo(t *testing.T) {
	onStage(t, func(s *stage) {
		first := s.save("disk-0", seedA)
		before := s.w.names("data/")
		second := s.save("disk-0", seedB)
		s.giveUp(first)
		late := s.collector()
		s.must(late, "delete", "points/") // it has decided that the first one goes
		if err := s.r.Retire(s.ctx, "a test", s.packsSince(before)); err != nil {
			t.Fatal(err)
		}
		s.done(s.collector()) // spares the first one, and ends the list
		s.giveUp(second)
		s.done(s.collector())
		s.done(late)
		if _, _, err := s.r.ReadPoint(s.ctx, second); err != nil {
			t.Errorf("the disk's last point: %v", err)
		}
	})
}

// Of a disk's points that were given up the one stays that is proven, as long as no other
// one is. One that is damaged is no reason to keep another one that is.
func TestLastGoodIsTheOneThatIsProven(t *testing.T) {
	onStage(t, func(s *stage) {
		whole := s.save("disk-0", seedA)
		if err := s.r.PutVerified(s.ctx, "a test", s.packsSince(nil)); err != nil {
			t.Fatal(err)
		}
		before := s.w.names("data/")
		s.save("disk-0", seedB)
		s.giveUp(whole)
		s.done(s.collector())
		if _, _, err := s.r.ReadPoint(s.ctx, whole); err != nil {
			t.Errorf("the only point that is proven: %v", err)
		}
		if err := s.r.PutVerified(s.ctx, "a test", s.packsSince(before)); err != nil {
			t.Fatal(err)
		}
		s.done(s.collector())
		if _, _, err := s.r.ReadPoint(s.ctx, whole); ivd.KindOf(err) != ivd.NotFound {
			t.Errorf("once another one is proven: %v", err)
		}
	})
	onStage(t, func(s *stage) {
		first := s.save("disk-0", seedA)
		s.save("disk-0", seedB)
		if err := s.r.Retire(s.ctx, "a test", s.packsSince(nil)); err != nil {
			t.Fatal(err)
		}
		s.giveUp(first)
		s.done(s.collector())
		if _, _, err := s.r.ReadPoint(s.ctx, first); ivd.KindOf(err) != ivd.NotFound {
			t.Errorf("a damaged point beside another one: %v", err)
		}
	})
}

// packsSince are the data packs that were stored since.
func (s *stage) packsSince(before []store.Name) (packs []ivd.PackID) {
	for _, name := range s.w.names("data/") {
		id, err := ivd.ParsePackID(path.Base(string(name)))
		if err == nil && !slices.Contains(before, name) {
			packs = append(packs, id)
		}
	}
	return packs
}

// What is not understood below points/, collect/ and retired/ stops a collection, by name.
func TestUnknownObjectsStopACollection(t *testing.T) {
	for _, name := range []string{"points/%/vc/disk-0/later", "collect/%/x/future", "collect/%/x/condemned", "collect/%/x/waits", "collect/%/x/done", "retired/%/later"} {
		onStage(t, func(s *stage) {
			first := s.save("disk-0", seedA)
			s.save("disk-0", seedB)
			s.giveUp(first)
			object := strings.Replace(name, "%", s.r.Domain().String(), 1)
			if err := s.w.Put(s.ctx, store.Name(object), []byte("IVDFUTUR")); err != nil {
				t.Fatal(err)
			}
			_, err := collect.New(s.r, collect.Options{MaxShare: 1}).Collect(s.ctx)
			if err == nil || !strings.Contains(err.Error(), object) {
				t.Errorf("%s: %v", object, err)
			}
			if _, _, err := s.r.ReadPoint(s.ctx, first); err != nil {
				t.Errorf("%s: %v", object, err)
			}
			if err := s.w.Delete(s.ctx, store.Name(object)); err != nil {
				t.Fatal(err)
			}
		})
	}
}
