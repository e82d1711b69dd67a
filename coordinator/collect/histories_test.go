package collect_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"ivdmover/coordinator/collect"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/soak"
)

func TestMain(m *testing.M) {
	soak.Checks(histories)
	warmUp()
	os.Exit(m.Run())
}

// warmUp has the compressor make its channels outside of any bubble.
func warmUp() {
	p := format.NewPack(format.PackHeader{Kind: format.DataPack, Repository: "5f0c1b1e-0000-4000-8000-000000000001"}, nil)
	stored, compression := format.Compress(nil, chunk(1), 1)
	off, n := p.Add(format.ChunkFrame, format.Sum(chunk(1)), len(chunk(1)), compression, stored)
	b, _ := p.Finish()
	if _, err := new(format.Opener).Frame(nil, b[off:off+n], format.Sum(chunk(1))); err != nil {
		panic(err)
	}
}

// history is a sequence of what can happen to a repository: backups, readers, people who
// give points up, and collectors, all at once, each of whose requests may fail, be lost or
// come late, while time passes.
type history struct {
	w      *world
	r      *repo.Repository
	mem    *memory
	script *script
	actors []*actor
	runs   int

	mu        sync.Mutex
	want      map[ivd.PointID]image // guarded by mu: of all that may have been committed
	committed map[ivd.PointID]bool  // guarded by mu: by an answer
	forgotten map[ivd.PointID]bool  // guarded by mu
	broken    string                // guarded by mu: what must not be
}

// script is where all choices come from: chance, for a while, and then the first of what
// can be chosen.
type script struct {
	rnd  *rand.Rand
	left int
}

func (s *script) pick(n int) int {
	if s.left--; s.left < 0 {
		return 0
	}
	return s.rnd.IntN(n)
}

func (h *history) fail(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.broken == "" {
		h.broken = fmt.Sprintf(format, args...)
	}
}

func newHistory(ctx context.Context, s *script) (*history, error) {
	h := &history{
		w: newWorld(), script: s, mem: &memory{places: map[byte]known{}},
		want: map[ivd.PointID]image{}, committed: map[ivd.PointID]bool{}, forgotten: map[ivd.PointID]bool{},
	}
	r, err := repo.Init(ctx, h.w, repo.InitOptions{})
	if err == nil {
		err = r.Prove(ctx)
	}
	h.r = r
	return h, err
}

// A history is played: at each step an actor begins, a request is answered, one that was
// under way arrives, somebody is killed, or time passes. Then all that is left ends.
func (h *history) play() {
	const actors, atOnce = 16, 4
	for steps := 0; steps < 3000; steps++ {
		synctest.Wait()
		waiting := h.w.requests()
		var alive []*actor
		for _, a := range h.actors {
			if !a.ended() {
				alive = append(alive, a)
			}
		}
		if len(alive) == 0 && len(h.actors) >= actors {
			return
		}
		switch k := h.script.pick(64); {
		case len(alive) == 0, k >= 58 && len(alive) < atOnce && len(h.actors) < actors:
			h.begin()
		case k >= 56 && len(h.w.wire) > 0:
			h.w.arrive(h.script.pick(len(h.w.wire)))
		case k == 55:
			h.pass()
		case k == 54 && h.script.pick(4) == 0:
			h.w.die(alive[h.script.pick(len(alive))], h.script.pick(2) == 0)
		case len(waiting) > 0:
			h.answer(waiting)
		default:
			time.Sleep(time.Second) // somebody waits before it tries again
		}
	}
	h.fail("it does not end: %d requests wait", len(h.w.requests()))
}

func (h *history) answer(waiting []*request) {
	q := waiting[h.script.pick(len(waiting))]
	f := happens
	switch h.script.pick(120) {
	case 1:
		f = fails
	case 2:
		if q.changes() {
			f = loses
		}
	case 3:
		if q.changes() {
			f = staysOpen
		}
	}
	h.w.choose(q, f)
}

func (h *history) pass() {
	const day = 24 * time.Hour
	time.Sleep([]time.Duration{8 * time.Minute, 8 * time.Minute, 20 * time.Minute, 20 * time.Minute, time.Hour, 12 * time.Hour, 25 * time.Hour, 3 * day, 8*day + 2*time.Hour}[h.script.pick(9)])
}

// begin begins something.
func (h *history) begin() {
	h.runs++
	run := ivd.RunID(fmt.Sprintf("run-%03d", h.runs))
	disk := ivd.DiskID(fmt.Sprintf("disk-%d", h.script.pick(2)))
	seed := h.script.pick(256)
	var a *actor
	switch k := h.script.pick(10); {
	case k < 4 || h.runs < 2:
		a = h.w.start("backup "+string(run), func(ctx context.Context) error { return h.backup(ctx, run, disk, seed) })
	case k < 7:
		a = h.w.start("collector "+string(run), func(ctx context.Context) error { return h.collect(ctx) })
	case k < 8:
		a = h.w.start("person "+string(run), func(ctx context.Context) error { return h.forget(ctx, disk, seed) })
	case k < 9:
		a = h.w.start("reader "+string(run), func(ctx context.Context) error { return h.reader(ctx, seed) })
	default:
		a = h.w.start("retirer "+string(run), func(ctx context.Context) error { return h.retire(ctx, seed) })
	}
	h.actors = append(h.actors, a)
}

func (h *history) backup(ctx context.Context, run ivd.RunID, disk ivd.DiskID, seed int) error {
	var id ivd.PointID
	b := &backup{
		r: h.r, mem: h.mem, disk: disk, run: run, at: time.Now().UTC().Truncate(time.Second),
		child: func(parent image) image {
			now := maps.Clone(parent)
			now[places[seed%len(places)]] = byte(1 + seed/7%4)
			if seed%3 == 0 {
				delete(now, places[seed/3%len(places)])
			}
			return now
		},
		want: func(p ivd.PointID, has image) {
			h.mu.Lock()
			defer h.mu.Unlock()
			id, h.want[p] = p, has
		},
		read: func(p ivd.PointID) image {
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.want[p]
		},
	}
	err := b.Run(ctx)
	if ivd.KindOf(err) == ivd.Corrupt {
		h.fail("%s finds damage: %v", run, err)
	}
	if err == nil {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.committed[id] = true
	}
	return err
}

func (h *history) collect(ctx context.Context) error {
	_, err := collect.New(h.r, collect.Options{MaxShare: 1}).Collect(ctx)
	if kind := ivd.KindOf(err); kind == ivd.Corrupt || kind == ivd.NotFound || kind == ivd.Unsupported {
		h.fail("a collector stops: %v", err)
	}
	return err
}

// somePoint is a committed point, or empty.
func (h *history) somePoint(seed int, disk ivd.DiskID) ivd.PointID {
	h.mu.Lock()
	defer h.mu.Unlock()
	var ids []ivd.PointID
	for id := range h.want {
		if _, there := h.w.objects[h.r.PointName(id)]; there && (disk == "" || id.Disk() == disk) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return ""
	}
	slices.Sort(ids)
	return ids[seed%len(ids)]
}

func (h *history) forget(ctx context.Context, disk ivd.DiskID, seed int) error {
	for range 1 + seed%2 {
		id := h.somePoint(seed/2, disk)
		if id == "" {
			return nil
		}
		h.mu.Lock()
		h.forgotten[id] = true
		h.mu.Unlock()
		if err := h.r.Forget(ctx, format.Forgotten{Point: id, Reason: "a test"}); err != nil {
			return err
		}
	}
	return nil
}

// reader reads a point for as long as its lease stands.
func (h *history) reader(ctx context.Context, seed int) error {
	id := h.somePoint(seed, "")
	if id == "" {
		return nil
	}
	l, err := h.r.OpenLease(ctx, repo.LeaseSpec{Kind: repo.ReadLease, Owner: "a reader"})
	if err != nil {
		return err
	}
	_, p, err := h.r.OpenPoint(ctx, l.ID, id)
	if err != nil {
		return err // given up, perhaps
	}
	h.mu.Lock()
	want := h.want[id]
	h.mu.Unlock()
	err = restore(ctx, h.r, p, want)
	if kind := ivd.KindOf(err); (kind == ivd.NotFound || kind == ivd.Corrupt) && time.Now().Before(l.Deadline) {
		h.fail("a reader of %s loses what it reads: %v", id, err)
	}
	if err != nil {
		return err
	}
	return h.r.EndLease(ctx, l.ID)
}

// retire says of some pack that it is damaged.
func (h *history) retire(ctx context.Context, seed int) error {
	var packs []ivd.PackID
	for p, err := range h.r.Packs(ctx) {
		if err != nil {
			return err
		}
		packs = append(packs, p.ID)
	}
	if len(packs) == 0 {
		return nil
	}
	return h.r.Retire(ctx, "a test", packs[seed%len(packs):][:1])
}

// check restores every point that is there, byte for byte, and sees that no point is gone
// that nobody gave up.
func (h *history) check(ctx context.Context, when string) {
	there := map[ivd.PointID]bool{}
	for p, err := range h.r.Points(ctx, repo.PointsOf{}) {
		if err != nil {
			h.fail("%s: %v", when, err)
			return
		}
		there[p.ID] = true
		point, _, err := h.r.ReadPoint(ctx, p.ID)
		if err == nil {
			err = restore(ctx, h.r, point, h.want[p.ID])
		}
		if err != nil {
			h.fail("%s: %s does not restore: %v", when, p.ID, err)
		}
	}
	for id := range h.committed {
		if !there[id] && !h.forgotten[id] {
			h.fail("%s: %s is gone, and nobody gave it up", when, id)
		}
	}
}

// end lets all hosts die and all deadlines pass: two collections of one host later nothing
// is left that no point needs, and days later no record of a collection.
func (h *history) end(ctx context.Context) {
	for _, a := range h.actors {
		if !a.ended() {
			h.w.die(a, true)
		}
	}
	synctest.Wait()
	for len(h.w.wire) > 0 {
		h.w.arrive(h.script.pick(len(h.w.wire)))
	}
	h.check(ctx, "after all have ended")
	for range 2 {
		time.Sleep(3 * 24 * time.Hour)
		if err := h.collect(ctx); err != nil {
			h.fail("a collector alone: %v", err)
			return
		}
		h.check(ctx, "after a last collection")
	}
	time.Sleep(9 * 24 * time.Hour)
	if err := h.collect(ctx); err != nil {
		h.fail("a collector alone: %v", err)
	}
	h.check(ctx, "at the end")
	h.nothingIsLeft(ctx)
}

// nothingIsLeft sees that what no point needs is gone.
func (h *history) nothingIsLeft(ctx context.Context) {
	needed := map[string]bool{}
	lastOf := map[ivd.DiskID]int{}
	for p := range h.r.Points(ctx, repo.PointsOf{}) {
		if !h.forgotten[p.ID] {
			lastOf[p.ID.Disk()]++
		}
	}
	for p := range h.r.Points(ctx, repo.PointsOf{}) {
		point, _, err := h.r.ReadPoint(ctx, p.ID)
		if err != nil {
			h.fail("%v", err)
			return
		}
		for _, ref := range point.Pages {
			page, err := h.r.Page(ctx, ref, point.Geometry)
			if err != nil {
				h.fail("%v", err)
				return
			}
			needed[ref.Place.Pack.String()], needed[ref.Place.Writer.String()] = true, true
			for _, pack := range page.Packs {
				needed[pack.Pack.String()], needed[pack.Writer.String()] = true, true
			}
		}
	}
	for _, folder := range []string{"data/", "index/", "writers/"} {
		for _, name := range h.w.names(folder) {
			if _, id, _ := cutLast(string(name)); !needed[id] {
				h.fail("garbage stays for ever: %s", name)
			}
		}
	}
	for _, folder := range []string{"leases/", "collect/"} {
		if left := h.w.names(folder); len(left) > 0 {
			h.fail("records stay for ever: %v", left)
		}
	}
}

func cutLast(s string) (before, after string, found bool) {
	i := strings.LastIndex(s, "/")
	return s[:i], s[i+1:], true
}

// TestCollectHistories plays histories over the real code. Each committed point restores
// byte for byte at each end, no reader loses what it reads, and when all hosts have died
// one collector leaves nothing behind.
func TestCollectHistories(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := &script{rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1)), rapid.IntRange(100, 4000).Draw(rt, "choices")}
		if broken, log := playHistory(t, s); broken != "" {
			rt.Fatalf("%s\n%s", broken, strings.Join(log, "\n"))
		}
	})
}

func playHistory(t *testing.T, s *script) (broken string, log []string) {
	synctest.Test(t, func(t *testing.T) {
		h, err := newHistory(context.Background(), s)
		if err != nil {
			t.Fatal(err)
		}
		h.play()
		h.end(context.Background())
		broken, log = h.broken, h.w.log
	})
	return broken, log
}
