package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/catalogue"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/restore"
	"ivdmover/deploy/lab"
	"ivdmover/deploy/lab/owner"
	"ivdmover/mover/disk"
	"ivdmover/mover/disk/disktest"
	"ivdmover/mover/pipeline"
	"ivdmover/shared/budget"
	"ivdmover/shared/config"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store"
	"ivdmover/shared/trust"
	"ivdmover/vddk"
)

// estate is a laboratory with a coordinator and a mover at work, in this process.
type estate struct {
	*coordtest.Bench
	c    *coordtest.Coordinator
	hurt map[store.Name]bool // writers' records
}

func newEstate(t *testing.T) *estate {
	t.Helper()
	libdir, err := disktest.LibDir()
	if err != nil {
		t.Fatal(err)
	}
	e := &estate{Bench: coordtest.NewWith(t, lab.Options{LibDir: libdir}), hurt: map[store.Name]bool{}}
	host, err := disk.NewHost(lib, disk.Options{Transports: []string{"nbdssl"}})
	e.Must(err)
	e.c = e.Coordinator("one")
	p := config.DefaultPolicy()
	p.Name, p.CBT = "all", "enable"
	e.c.Backup.Policies = []config.Policy{p}
	e.Serve(e.c)
	memory := budget.NewMemory(256<<20, func(n int) budget.Buffer { return vddk.Alloc(n) })
	w, err := New(Options{
		Name: "proxy-1", Handles: 4, DedupMemory: 1 << 20, Modes: host.Modes(), VDDK: host.Version(), Facts: host.Facts,
		Queue: e.Connect(), Repository: e.Repo, Recheck: trust.Recheck, Disks: host, Memory: memory, Limits: pipeline.Limits{},
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	e.Must(err)
	ctx, kill := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx, nil) }()
	t.Cleanup(func() {
		kill()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, errEnded) {
			t.Error(err)
		}
	})
	return e
}

// victim is a disk whose repository is damaged in one way.
type victim struct {
	kind, way string
	disk      owner.Disk
	hurt      store.Name    // what was damaged
	points    []ivd.PointID // the newest last
	then      [][]byte      // what the disk held at each
}

func (v *victim) name() string { return v.kind + "-" + v.way }

// newDisk makes the disk of a victim, with a content of its own.
func (e *estate) newDisk(v *victim, seed uint64) {
	e.Helper()
	d, err := e.Owner.Create(e.Context(), "datastore1", v.name(), 3)
	e.Must(err)
	v.disk = d
	_, err = lab.Write(e.Context(), e.LabDir, d.Ref.ID(), 256<<10, lab.Random(seed, 1<<20))
	e.Must(err)
}

// content is what the disk holds.
func (e *estate) content(d owner.Disk) []byte {
	e.Helper()
	ds, file, _ := strings.Cut(strings.TrimPrefix(d.Path, "["), "] ")
	b, err := os.ReadFile(filepath.Join(e.LabDir, "datastores", ds, strings.TrimSuffix(file, ".vmdk")+"-flat.vmdk"))
	e.Must(err)
	return b
}

// backup backs all disks up, and has each victim know its new point.
func (e *estate) backup(victims []*victim, full bool) engine.View {
	e.Helper()
	for _, v := range victims {
		v.then = append(v.then, e.content(v.disk))
	}
	begun, err := e.c.StartBackup(e.Context(), backup.Request{Policy: "all", Full: full})
	e.Must(err)
	ended := e.ended(begun.ID)
	if ended.State != engine.Done {
		for _, it := range ended.Items {
			if it.Failure != nil {
				e.Errorf("%s: %s", e.Backup(it).Name, it.Failure.Message)
			}
		}
		e.Fatalf("the backup is %s", ended.State)
	}
	for _, v := range victims {
		v.points = append(v.points, e.Backup(e.Item(ended, v.disk.Name)).Point)
	}
	return ended
}

func (e *estate) ended(id ivd.RunID) engine.View {
	e.Helper()
	return e.Until(e.c, id, coordtest.Ended)
}

// restore restores the victims' newest points to new disks, all at once, and returns
// why those failed that did; what the others hold is compared.
func (e *estate) restore(victims []*victim) map[string]*ivd.Failure {
	e.Helper()
	runs := map[ivd.RunID]*victim{}
	failed := map[string]*ivd.Failure{}
	for _, v := range victims {
		n := len(v.points) - 1
		s, err := e.c.Restore.Run(e.Context(), restore.Request{Point: v.points[n], Name: fmt.Sprintf("again-%d-%s", n, v.name())})
		if err != nil {
			failed[v.name()] = ivd.FailureOf(err)
			continue
		}
		begun, err := e.c.Engine.Begin(e.Context(), s)
		e.Must(err)
		runs[begun.ID] = v
	}
	for id, v := range runs {
		ended := e.ended(id)
		if ended.State != engine.Done {
			failed[v.name()] = ended.Items[0].Failure
			continue
		}
		all, err := e.Owner.Disks(e.Context())
		e.Must(err)
		want := fmt.Sprintf("again-%d-%s", len(v.points)-1, v.name())
		i := slices.IndexFunc(all, func(d owner.Disk) bool { return d.Name == want })
		if i < 0 {
			e.Fatalf("no disk %s", want)
		}
		if !bytes.Equal(e.content(all[i]), v.then[len(v.then)-1]) {
			e.Errorf("%s is not what was backed up", want)
		}
		e.Must(e.Owner.Delete(e.Context(), all[i].Ref))
	}
	return failed
}

// ways are how an object may be damaged. Swapped is with another's of its kind.
var ways = map[string]func(mine, other []byte) []byte{
	"deleted":   func([]byte, []byte) []byte { return nil },
	"flipped":   func(mine, _ []byte) []byte { mine[len(mine)/2] ^= 8; return mine },
	"truncated": func(mine, _ []byte) []byte { return mine[:len(mine)/2] },
	"emptied":   func([]byte, []byte) []byte { return []byte{} },
	"swapped":   func(_, other []byte) []byte { return other },
	"zeroed":    func(mine, _ []byte) []byte { return make([]byte, len(mine)) },
}

func (e *estate) get(name store.Name) []byte {
	e.Helper()
	o, err := e.Repo.Store().Get(e.Context(), name, format.MaxPackSize)
	e.Must(err)
	return o.Body
}

// damage damages an object; nil: it is deleted.
func (e *estate) damage(name store.Name, to []byte) {
	e.Helper()
	if to == nil {
		e.Must(e.Repo.Store().Delete(e.Context(), name))
		return
	}
	e.Must(e.Repo.Store().Put(e.Context(), name, to))
}

// object is the one of a victim's kind that its newest point is made of.
func (e *estate) object(v *victim) store.Name {
	e.Helper()
	id := v.points[len(v.points)-1]
	if v.kind == "point" {
		return store.Name("points/" + string(id))
	}
	p, _, err := e.Repo.ReadPoint(e.Context(), id)
	e.Must(err)
	page, err := e.Repo.Page(e.Context(), p.Pages[0], p.Geometry)
	e.Must(err)
	if v.kind == "index" {
		return e.Repo.PackName(format.IndexPack, p.Pages[0].Place.Pack)
	}
	for _, ref := range page.Packs {
		if ref.Pack != p.Pages[0].Place.Pack {
			return e.Repo.PackName(format.DataPack, ref.Pack)
		}
	}
	e.Fatalf("%s has no data pack", v.name())
	return ""
}

// The kinds of damage that docs/architecture.md lists, by the real path: a disk for
// each, all of them backed up and restored together.
func TestDamage(t *testing.T) {
	e := newEstate(t)
	other := e.heals(false, "data", "index", "point")
	for pair := range slices.Chunk(slices.Sorted(maps.Keys(ways)), 2) {
		e.damagedRecords(other, pair...)
	}
	e.damagedLists(other)
}

// A backup that reads all deduplicates only against what it has asked for: it heals what
// an increment does, and a reader finds the rest.
func TestDamageFull(t *testing.T) {
	newEstate(t).heals(true, "data", "index")
}

// heals damages what the first points of disks are made of, in every way, and wants what
// has another length, or is gone, to be healed by the next backup; and what keeps its
// length to be found by a restore, to be retired, and to be healed by the backup after
// that. It returns a disk of which nothing was damaged.
func (e *estate) heals(full bool, kinds ...string) *victim {
	e.Helper()
	var victims []*victim
	for _, kind := range kinds {
		for _, way := range slices.Sorted(maps.Keys(ways)) {
			victims = append(victims, &victim{kind: kind, way: way})
		}
	}
	other := &victim{kind: "data", way: "other"} // what others are swapped with; stays whole
	victims = append(victims, other)
	for i, v := range victims {
		e.newDisk(v, uint64(1000+i))
	}
	e.backup(victims, false)
	for _, v := range victims[:len(victims)-1] {
		of := *other
		of.kind, v.hurt = v.kind, e.object(v)
		mine := e.get(v.hurt)
		to := ways[v.way](bytes.Clone(mine), e.get(e.object(&of)))
		if v.name() == "data-swapped" && len(to) != len(mine) {
			e.Fatalf("%s: %d bytes became %d: that is another kind", v.name(), len(mine), len(to))
		}
		e.damage(v.hurt, to)
	}
	e.healed(victims, full)
	return other
}

// healed backs damaged disks up, and restores them, until all is healed.
func (e *estate) healed(victims []*victim, full bool) {
	e.Helper()
	write := func(round uint64) {
		for i, v := range victims {
			_, err := lab.Write(e.Context(), e.LabDir, v.disk.Ref.ID(), 0, lab.Random(round<<20+uint64(i), 4<<10))
			e.Must(err)
		}
	}
	// The backup after heals all but what only a reader finds.
	write(1)
	second := e.backup(victims, full)
	for _, v := range victims {
		d := e.Backup(e.Item(second, v.disk.Name))
		if built := d.Parent == v.points[0]; built != (v.kind != "point") {
			e.Errorf("%s: built on %q", v.name(), d.Parent)
		}
	}
	lost := map[string]string{
		"data-flipped": "bytes 786432 to 1048576", // the chunk in which the byte is
		"data-swapped": "bytes 262144 to 1310720", // all that it held
	}
	e.retired(victims, func(v *victim) bool { return lost[v.name()] == "" })
	failed := e.restore(victims)
	for _, v := range victims {
		f, lost := failed[v.name()], lost[v.name()]
		switch {
		case lost != "" && (f == nil || !strings.Contains(f.Message, lost) || !strings.Contains(f.Remedy, "ivd points --check")):
			e.Errorf("%s: want a failure that says what is lost: %+v", v.name(), f)
		case lost == "" && f != nil:
			e.Errorf("%s: %+v", v.name(), f)
		}
	}
	if e.Failed() {
		e.FailNow()
	}
	e.retired(victims, func(*victim) bool { return true })
	e.marked(victims, map[string]int{"data-flipped": 2, "data-swapped": 2})

	// What a restore has found, the backup after that heals; it reads no more than that.
	write(2)
	third := e.backup(victims, full)
	for _, v := range victims {
		it := e.Item(third, v.disk.Name)
		if d := e.Backup(it); !full && d.Mode != "changed" || it.Stats.ReadBytes > 3<<20 {
			e.Errorf("%s: %d bytes were read by mode %q: %s", v.name(), it.Stats.ReadBytes, d.Mode, d.Note)
		}
	}
	found := slices.DeleteFunc(slices.Clone(victims), func(v *victim) bool { return failed[v.name()] == nil })
	for name, f := range e.restore(found) {
		e.Errorf("%s: %+v", name, f)
	}
}

// retired wants exactly the damaged packs of some victims to be retired.
func (e *estate) retired(victims []*victim, want func(*victim) bool) {
	e.Helper()
	x, err := e.Repo.Retired(e.Context())
	e.Must(err)
	n := 0
	for _, v := range victims {
		if v.way == "other" || v.kind == "point" || !want(v) {
			continue
		}
		id, err := ivd.ParsePackID(path.Base(string(v.hurt)))
		e.Must(err)
		if n++; !x.Pack(id) {
			e.Errorf("%s: the pack is not retired", v.name())
		}
	}
	if got := len(x.Packs()); got != n {
		e.Errorf("%d packs are retired, want %d", got, n)
	}
}

// One restore makes all damage known of what it was to read: a byte in each of several
// packs. All of them are retired, and the one backup after that heals them all.
func TestOneRestoreFindsAllDamage(t *testing.T) {
	e := newEstate(t)
	v := &victim{kind: "data", way: "flipped"}
	var err error
	v.disk, err = e.Owner.Create(t.Context(), "datastore1", v.name(), 80)
	e.Must(err)
	_, err = lab.Write(t.Context(), e.LabDir, v.disk.Ref.ID(), 0, lab.Random(7, 80<<20))
	e.Must(err)
	all := []*victim{v}
	e.backup(all, false)
	p, _, err := e.Repo.ReadPoint(t.Context(), v.points[0])
	e.Must(err)
	page, err := e.Repo.Page(t.Context(), p.Pages[0], p.Geometry)
	e.Must(err)
	var packs []ivd.PackID
	for _, ref := range page.Packs {
		name := e.Repo.PackName(format.DataPack, ref.Pack)
		if _, err := e.Repo.Store().Stat(t.Context(), name); err == nil {
			packs = append(packs, ref.Pack)
			e.damage(name, ways[v.way](e.get(name), nil))
		}
	}
	if len(packs) < 4 {
		t.Fatalf("%d packs", len(packs))
	}
	f := e.restore(all)[v.name()]
	if f == nil || !strings.Contains(f.Message, fmt.Sprintf("chunks: %d, ", len(packs))) || !strings.Contains(f.Message, fmt.Sprintf("wrong: %d", len(packs))) || strings.Contains(f.Message, "not looked at") {
		t.Errorf("%d packs are damaged, and it says: %+v", len(packs), f)
	}
	x, err := e.Repo.Retired(t.Context())
	e.Must(err)
	for _, pack := range packs {
		if !x.Pack(pack) {
			t.Errorf("pack %s is not retired", pack)
		}
	}
	e.backup(all, false)
	for _, f := range e.restore(all) {
		t.Errorf("after the next backup: %+v", f)
	}
}

// below are the objects of a folder.
func (e *estate) below(folder string) []store.Name {
	e.Helper()
	var names []store.Name
	for info, err := range e.Repo.Store().List(e.Context(), folder) {
		e.Must(err)
		names = append(names, info.Name)
	}
	return names
}

// more is a backup of one disk and a restore of its point.
func (e *estate) more(v *victim, what string) {
	e.Helper()
	_, err := lab.Write(e.Context(), e.LabDir, v.disk.Ref.ID(), 0, lab.Random(uint64(100+len(v.points)), 4<<10))
	e.Must(err)
	v.then = append(v.then, e.content(v.disk))
	begun, err := e.c.StartBackup(e.Context(), backup.Request{Disks: []catalogue.Disk{{ID: v.disk.Ref.ID()}}})
	e.Must(err)
	ended := e.ended(begun.ID)
	if ended.State != engine.Done {
		e.Fatalf("%s: the backup is %s: %+v", what, ended.State, ended.Items[0].Failure)
	}
	v.points = append(v.points, e.Backup(ended.Items[0]).Point)
	for _, f := range e.restore([]*victim{v}) {
		e.Errorf("%s: %+v", what, f)
	}
}

// damagedRecords: that the records of writers and the leases of others are damaged
// costs nothing, and nobody takes a lease that cannot be read for ended.
func (e *estate) damagedRecords(v *victim, of ...string) {
	e.Helper()
	damaged := map[store.Name]string{} // leases
	open := func() store.Name {
		l, err := e.Repo.OpenLease(e.Context(), repo.LeaseSpec{Kind: repo.WriteLease, Owner: "another coordinator"})
		e.Must(err)
		return store.Name("leases/" + string(l.ID))
	}
	other := open()
	for _, way := range of {
		name, next := e.writer(), e.writer()
		e.damage(name, ways[way](e.get(name), e.get(next)))
		lease := open()
		damaged[lease] = way
		e.damage(lease, ways[way](e.get(lease), e.get(other)))
	}
	e.more(v, fmt.Sprint("writers and leases ", of))
	stand := map[store.Name]bool{}
	for l, err := range e.Repo.Leases(e.Context()) {
		e.Must(err)
		stand[store.Name("leases/"+string(l.ID))] = l.Unknown != nil
	}
	for name, way := range damaged {
		if unknown, stands := stand[name]; stands != (way != "deleted") || stands && !unknown {
			e.Errorf("a lease that is %s: stands %t, not understood %t", way, stands, unknown)
		}
		e.Must(e.Repo.Store().Delete(e.Context(), name))
	}
}

// marked looks which points are listed as damaged: of each disk of which a pack was, the
// first, or as many as more says.
func (e *estate) marked(victims []*victim, more map[string]int) {
	e.Helper()
	c := catalogue.New(e.Repo)
	for _, v := range victims {
		points, err := c.Points(e.Context(), catalogue.Disk{ID: v.disk.Ref.ID()})
		e.Must(err)
		e.Must(c.Mark(e.Context(), points, false))
		want, got := max(1, more[v.name()]), 0
		if v.kind == "point" || v.way == "other" {
			want = 0
		}
		for i, p := range points {
			if len(p.Damaged) > 0 {
				got++
			}
			if (len(p.Damaged) > 0) != (i < want) || p.Unchecked {
				e.Errorf("%s: point %d needs %d damaged packs, unchecked %t", v.name(), i, len(p.Damaged), p.Unchecked)
			}
		}
		if got != want {
			e.Errorf("%s: %d points are marked, want %d", v.name(), got, want)
		}
	}
}

// writer is a writer's record that nobody has damaged: of a run of this test, or else
// of a mover that stored nothing else.
func (e *estate) writer() store.Name {
	e.Helper()
	for _, name := range e.below("writers/") {
		if !e.hurt[name] {
			e.hurt[name] = true
			return name
		}
	}
	lease, err := e.Repo.OpenLease(e.Context(), repo.LeaseSpec{Kind: repo.WriteLease, Owner: "another mover"})
	e.Must(err)
	w, err := e.Repo.NewWriter(lease, ivd.NewWriterID(), "another")
	e.Must(err)
	_, _, _, err = w.PutPack(e.Context(), w.NewPack(format.DataPack))
	e.Must(err)
	e.Must(e.Repo.EndLease(e.Context(), lease.ID))
	return e.writer()
}

// damagedLists: a list of retired packs that cannot be read keeps nobody from
// working, one of what is being deleted stops all by its name, until it is mended. One
// that is deleted has said nothing.
func (e *estate) damagedLists(v *victim) {
	e.Helper()
	lists := e.below("retired/")
	if len(lists) < 2 {
		e.Fatal("too little is retired")
	}
	first, second := lists[0], e.get(lists[1])
	whole := e.get(first)
	for _, way := range slices.Sorted(maps.Keys(ways)) {
		e.damage(first, ways[way](bytes.Clone(whole), second))
		x, err := e.Repo.Retired(e.Context())
		if told := err == nil && slices.Equal(x.Ignored, []store.Name{first}); err != nil || told != (way != "deleted") {
			e.Errorf("a list of retired packs is %s: told of it %t, %v", way, told, err)
		}
	}
	e.damage(first, whole)
	for _, name := range lists {
		e.damage(name, ways["flipped"](e.get(name), nil))
	}
	if x, err := e.Repo.Retired(e.Context()); err != nil || len(x.Ignored) != len(lists) {
		e.Errorf("lists that are told of: %v, %v", x, err)
	}
	e.more(v, "lists of retired packs flipped")

	e.Condemn(ivd.PackID{1})
	name := e.below("collect/")[0]
	whole = e.get(name)
	for _, way := range slices.Sorted(maps.Keys(ways)) {
		e.damage(name, ways[way](bytes.Clone(whole), second))
		if _, err := e.Repo.Standing(e.Context()); (err == nil) != (way == "deleted") || err != nil && !strings.Contains(err.Error(), string(name)) {
			e.Errorf("a condemned list is %s: %v", way, err)
		}
	}
	e.damage(name, ways["flipped"](bytes.Clone(whole), nil))
	before := len(e.below("data/")) + len(e.below("index/")) + len(e.below("points/"))
	begun, err := e.c.StartBackup(e.Context(), backup.Request{Disks: []catalogue.Disk{{ID: v.disk.Ref.ID()}}})
	if err == nil {
		if ended := e.ended(begun.ID); ended.State != engine.Failed || !strings.Contains(ended.Items[0].Failure.Message, string(name)) {
			e.Errorf("a condemned list flipped: the backup is %s: %+v", ended.State, ended.Items[0].Failure)
		}
	} else if !strings.Contains(err.Error(), string(name)) {
		e.Errorf("a condemned list flipped: %v", err)
	}
	for _, f := range e.restore([]*victim{v}) {
		if !strings.Contains(f.Message, string(name)) {
			e.Errorf("a condemned list flipped: %+v", f)
		}
	}
	if n := len(e.below("data/")) + len(e.below("index/")) + len(e.below("points/")); n != before {
		e.Errorf("a condemned list flipped: %d objects, before %d", n, before)
	}
	e.damage(name, whole)
	e.more(v, "the condemned list mended")
}
