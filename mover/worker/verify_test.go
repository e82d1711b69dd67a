package worker

import (
	"bytes"
	"fmt"
	"path"
	"strings"
	"testing"
	"time"

	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/verify"
	"ivdmover/deploy/lab"
	"ivdmover/shared/damage"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// verify has points verified, and returns the run and why points failed, by disk's name.
func (e *estate) verify(how job.VerifySpec, points ...ivd.PointID) (engine.View, map[string]*ivd.Failure) {
	e.Helper()
	s, err := e.c.Verify.Run(e.Context(), verify.Request{Points: points, How: how})
	e.Must(err)
	begun, err := e.c.Engine.Begin(e.Context(), s)
	e.Must(err)
	v := e.ended(begun.ID)
	failed := map[string]*ivd.Failure{}
	for _, it := range v.Items {
		var c verify.Check
		e.Must(it.Decode(&c))
		if it.Result != engine.Done {
			failed[c.Name] = it.Failure
		}
	}
	return v, failed
}

// A verification finds no fault with what is whole, and finds a flipped byte: it names
// what the point has lost, and retires the pack; the next backup stores it anew, and the
// points from then on are whole. A pack that was put back is lifted, and all is whole.
func TestVerify(t *testing.T) {
	e := newEstate(t)
	hurt, whole := &victim{kind: "data", way: "flipped"}, &victim{kind: "data", way: "other"}
	all := []*victim{hurt, whole}
	for i, v := range all {
		var err error
		v.disk, err = e.Owner.Create(t.Context(), "datastore1", v.name(), 3)
		e.Must(err)
		_, err = lab.Write(t.Context(), e.LabDir, v.disk.Ref.ID(), 256<<10, lab.Random(uint64(i), 1<<20))
		e.Must(err)
	}
	e.backup(all, false)
	first := []ivd.PointID{hurt.points[0], whole.points[0]}
	for _, c := range []struct {
		how  job.VerifySpec
		read int64
	}{{job.VerifySpec{Depth: job.Structure}, 0}, {job.VerifySpec{Depth: job.Sample, Percent: 100}, 2 << 20}, {job.VerifySpec{Depth: job.Whole}, 2 << 20}} {
		v, failed := e.verify(c.how, first...)
		if v.State != engine.Done || len(failed) > 0 || v.Stats.ReadBytes != c.read || v.Stats.DiskBytes != 6<<20 {
			t.Errorf("%+v of what is whole: %s, %d bytes read of %d: %+v", c.how, v.State, v.Stats.ReadBytes, v.Stats.DiskBytes, failed)
		}
	}

	hurt.hurt = e.object(hurt)
	was := e.get(hurt.hurt)
	e.damage(hurt.hurt, ways["flipped"](bytes.Clone(was), nil))
	if _, failed := e.verify(job.VerifySpec{Depth: job.Structure}, first...); len(failed) > 0 {
		t.Errorf("structure has no content, and finds %+v", failed)
	}
	v, failed := e.verify(job.VerifySpec{Depth: job.Whole}, first...)
	f := failed[hurt.disk.Name]
	if v.State != engine.Partial || len(failed) != 1 || f == nil || f.Kind != ivd.Corrupt && f.Kind != ivd.Permanent || !strings.Contains(f.Message, "bytes 786432 to 1048576") {
		t.Errorf("of a flipped byte: %s, %+v", v.State, failed)
	}
	e.retired(all, func(*victim) bool { return true })
	r, err := e.Repo.ReadRun(t.Context(), v.ID)
	if err != nil || r.Kind != "verify" || len(r.Verified) != 1 || r.Verified[0].Point != whole.points[0] || len(r.Failed) != 1 || r.Failed[0].Point != hurt.points[0] {
		t.Errorf("the run's record: %+v, %v", r, err)
	}

	_, err = lab.Write(t.Context(), e.LabDir, hurt.disk.Ref.ID(), 0, lab.Random(9, 4<<10))
	e.Must(err)
	e.backup(all, false)
	if _, failed := e.verify(job.VerifySpec{Depth: job.Whole}, hurt.points[1], whole.points[1]); len(failed) > 0 {
		t.Errorf("after the next backup: %+v", failed)
	}
	if _, failed := e.verify(job.VerifySpec{Depth: job.Structure}, first...); failed[hurt.disk.Name] == nil {
		t.Error("a point that needs a retired pack counts as whole")
	}
	e.damage(hurt.hurt, was)
	id, err := ivd.ParsePackID(path.Base(string(hurt.hurt)))
	e.Must(err)
	e.Must(damage.Lift(t.Context(), e.Repo, "put back", []ivd.PackID{id}))
	if _, failed := e.verify(job.VerifySpec{Depth: job.Whole}, first...); len(failed) > 0 {
		t.Errorf("of a pack that was put back: %+v", failed)
	}
}

// victims are small disks, of each of which a data pack is damaged in some way.
func (e *estate) victims(ways ...string) (all []*victim) {
	e.Helper()
	for i, way := range ways {
		all = append(all, &victim{kind: "data", way: way})
		e.newDisk(all[i], uint64(i))
	}
	return all
}

// Structure finds a data pack that is gone, or whose directory is not what its writer
// has signed.
func TestVerifyStructure(t *testing.T) {
	e := newEstate(t)
	all := e.victims("deleted", "truncated", "other")
	e.backup(all, false)
	var points []ivd.PointID
	for _, v := range all {
		points = append(points, v.points[0])
		if v.hurt = e.object(v); v.way != "other" {
			e.damage(v.hurt, ways[v.way](e.get(v.hurt), nil))
		}
	}
	_, failed := e.verify(job.VerifySpec{Depth: job.Structure}, points...)
	for _, v := range all {
		if f := failed[v.disk.Name]; (f == nil) != (v.way == "other") {
			t.Errorf("%s: %+v", v.name(), f)
		}
	}
	e.retired(all, func(*victim) bool { return true })
}

// verifyPacks has packs verified.
func (e *estate) verifyPacks(which verify.Packs) engine.View {
	e.Helper()
	s, err := e.c.Verify.Run(e.Context(), verify.Request{Packs: which})
	e.Must(err)
	begun, err := e.c.Engine.Begin(e.Context(), s)
	e.Must(err)
	return e.ended(begun.ID)
}

// New packs are read whole by a mover, and stand on a list then; one that is damaged does
// not, is retired, and what it has cost is said. A scrub finds what is damaged later, in
// packs of both kinds; the backups after that heal.
func TestVerifyPacks(t *testing.T) {
	e := newEstate(t)
	all := e.victims("flipped", "other")
	e.backup(all, false)
	hurt, whole := all[0], all[1]
	hurt.hurt = e.object(hurt)
	was := e.get(hurt.hurt)
	e.damage(hurt.hurt, ways["flipped"](bytes.Clone(was), nil))
	v := e.verifyPacks(verify.NewPacks)
	if f := v.Items[0].Failure; len(v.Items) != 1 || f == nil || f.Kind != ivd.Corrupt || !strings.Contains(f.Message, "of "+hurt.disk.Name+" has lost bytes 786432 to 1048576") {
		t.Errorf("%s, %+v", v.State, v.Items[0].Failure)
	}
	e.retired(all, func(v *victim) bool { return true })
	proven := map[string]bool{}
	lists, err := e.Repo.VerifiedLists(t.Context())
	e.Must(err)
	for _, name := range lists {
		_, packs, err := e.Repo.Verified(t.Context(), name)
		e.Must(err)
		for _, id := range packs {
			proven[id.String()] = true
		}
	}
	if len(proven) != 1 || !proven[path.Base(string(e.object(whole)))] {
		t.Errorf("proven are %v", proven)
	}
	if _, err := e.c.Verify.Run(t.Context(), verify.Request{Packs: verify.NewPacks}); ivd.KindOf(err) != ivd.NotFound {
		t.Errorf("what is proven, or retired, is to be proven again: %v", err)
	}

	e.damage(hurt.hurt, was) // it stays retired; its folder may be among those that are read
	index := *whole
	index.kind = "index"
	whole.hurt = e.object(&index)
	e.damage(whole.hurt, ways["flipped"](e.get(whole.hurt), nil))
	e.readBefore("index/" + path.Base(path.Dir(string(whole.hurt))))
	v = e.verifyPacks(verify.DuePacks)
	if v.State != engine.Partial || v.Counts.Failed != 1 || v.Counts.Done != v.Counts.Items-1 {
		t.Errorf("%s, %+v", v.State, v.Counts)
	}
	x, err := e.Repo.Retired(t.Context())
	e.Must(err)
	id, err := ivd.ParsePackID(path.Base(string(whole.hurt)))
	e.Must(err)
	if !x.Pack(id) {
		t.Error("the index pack is not retired")
	}
	e.backup(all, false)
	if _, failed := e.verify(job.VerifySpec{Depth: job.Whole}, hurt.points[1], whole.points[1]); len(failed) > 0 {
		t.Errorf("after the next backup: %+v", failed)
	}
}

// readBefore has a record say that all folders were read a moment ago, but for one.
func (e *estate) readBefore(but string) {
	e.Helper()
	at := e.Repo.Now().UTC().Truncate(time.Second)
	run := format.Run{ID: ivd.NewRunID(at), Kind: "verify", State: "done", Coordinator: "another", Started: at, Ended: at, Sequence: 1}
	for i := range 512 {
		name := fmt.Sprintf("%s/%02x", []string{"data", "index"}[i/256], i%256)
		if name != but {
			run.Verified = append(run.Verified, format.RunVerified{Folder: name, Depth: "scrub"})
		}
	}
	e.Must(e.Repo.PutRun(e.Context(), run))
}
