package repo_test

import (
	"bytes"
	"maps"
	"testing"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store"
)

var storedAt = time.Date(2026, 11, 24, 23, 0, 0, 0, time.UTC)

// storePacks stores three packs, and names them and one that is not there.
func storePacks(t *testing.T, r *repo.Repository) (packs map[ivd.PackID]format.PackKind, lost ivd.PackID) {
	t.Helper()
	w, packs := writerOf(t, r), map[ivd.PackID]format.PackKind{}
	for _, kind := range []format.PackKind{format.DataPack, format.DataPack, format.IndexPack} {
		p, frame := newPack(w, kind), format.ChunkFrame
		if kind == format.IndexPack {
			frame = format.NodeFrame
		}
		addFrame(p, frame, make([]byte, 100+len(packs)))
		packs[putPack(t, w, p).Pack] = kind
	}
	lost = ivd.PackID{7}
	packs[lost] = format.DataPack
	return packs, lost
}

func putStored(t *testing.T, r *repo.Repository, run ivd.RunID, packs map[ivd.PackID]format.PackKind) []ivd.PackID {
	t.Helper()
	missing, err := r.PutStoredPacks(t.Context(), run, storedAt, packs)
	if err != nil {
		t.Fatal(err)
	}
	return missing
}

// A run's list of packs says of each how long it is, and of those that are missing
// that they are. To store it again changes nothing.
func TestStoredPacks(t *testing.T) {
	for name, most := range map[string]int{"in one object": 4, "in parts": 3, "in parts of one": 1} {
		t.Run(name, func(t *testing.T) {
			repo.SetStoredEntries(t, most)
			b, r := made(t)
			packs, lost := storePacks(t, r)
			if has, err := r.HasStoredPacks(t.Context(), "run-1"); err != nil || has {
				t.Errorf("a list before there is one: %v, %v", has, err)
			}
			if missing := putStored(t, r, "run-1", packs); len(missing) != 1 || missing[0] != lost {
				t.Errorf("missing: %v", missing)
			}
			got, err := r.StoredPacks(t.Context(), "run-1")
			if err != nil || len(got) != len(packs) {
				t.Fatalf("%v: %v", got, err)
			}
			if _, err := b.find(storeName("runs/" + r.Domain().String() + "/run-1.packs.1")); (err == nil) != (most < len(packs)) {
				t.Errorf("a part of %d packs, of which an object takes %d: %v", len(packs), most, err)
			}
			for id, kind := range packs {
				want := format.StoredPack{ID: id, Kind: kind}
				if id != lost {
					o, err := b.find(r.PackName(kind, id))
					if err != nil {
						t.Fatal(err)
					}
					want.Length = o.Size
				}
				if got[id] != want {
					t.Errorf("%+v, want %+v", got[id], want)
				}
			}
			before := maps.Clone(b.objects)
			putStored(t, r, "run-1", packs)
			for name, o := range b.objects {
				if !bytes.Equal(o.Body, before[name].Body) {
					t.Errorf("%s has changed", name)
				}
			}
			if has, err := r.HasStoredPacks(t.Context(), "run-1"); err != nil || !has || len(b.objects) != len(before) {
				t.Errorf("a list: %v, %v; %d objects, before %d", has, err, len(b.objects), len(before))
			}
			for id := range r.Runs(t.Context()) {
				t.Errorf("there is a run %s", id)
			}
		})
	}
}

// A list in parts is read whole or not at all, and is none before the last of it was
// stored.
func TestStoredPacksInHalf(t *testing.T) {
	repo.SetStoredEntries(t, 2)
	b, r := made(t)
	packs, _ := storePacks(t, r)
	name := store.Name("runs/" + r.Domain().String() + "/run-1.packs")
	b.fault = func(op, object string) error {
		if op == "put" && object == string(name) {
			return ivd.Errorf(ivd.Transient, "the power fails")
		}
		return nil
	}
	_, err := r.PutStoredPacks(t.Context(), "run-1", storedAt.Add(-time.Hour), packs)
	wantKind(t, err, ivd.Transient, string(name))
	b.fault = nil
	earlier, err := b.find(name + ".1")
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.StoredPacks(t.Context(), "run-1")
	wantKind(t, err, ivd.NotFound, string(name))
	putStored(t, r, "run-1", packs)
	for what, spoil := range map[string]func(first store.Name){
		"part 1 is missing": func(first store.Name) { delete(b.objects, first) },
		"not the part":      func(first store.Name) { b.put(first, earlier.Body) },
	} {
		first := b.objects[name+".1"]
		spoil(first.Name)
		_, err := r.StoredPacks(t.Context(), "run-1")
		wantKind(t, err, ivd.Corrupt, what)
		b.put(first.Name, first.Body)
	}
	if got, err := r.StoredPacks(t.Context(), "run-1"); err != nil || len(got) != len(packs) {
		t.Errorf("%v: %v", got, err)
	}
}

// A pack that is not in the length in which it was stored stands in the list as one that
// is missing does: its length there is not the one that it should have.
func TestStoredPacksCutOff(t *testing.T) {
	b, r := made(t)
	packs, lost := storePacks(t, r)
	var short ivd.PackID
	for short = range packs {
		if short != lost {
			break
		}
	}
	name := r.PackName(packs[short], short)
	o, err := b.find(name)
	if err != nil {
		t.Fatal(err)
	}
	b.put(name, o.Body[:o.Size-1])
	if told := putStored(t, r, "run-1", packs); len(told) != 2 {
		t.Errorf("told of: %v", told)
	}
	got, err := r.StoredPacks(t.Context(), "run-1")
	if err != nil || got[short].Length != 0 || got[lost].Length != 0 {
		t.Errorf("%+v, %+v: %v", got[short], got[lost], err)
	}
}

// An outage is not taken for a pack that is missing.
func TestStoredPacksOutage(t *testing.T) {
	b, r := made(t)
	packs, lost := storePacks(t, r)
	b.fault = func(op, object string) error {
		if object == string(r.PackName(format.DataPack, lost)) {
			return ivd.Errorf(ivd.Transient, "away")
		}
		return nil
	}
	_, err := r.PutStoredPacks(t.Context(), "run-1", storedAt, packs)
	wantKind(t, err, ivd.Transient, lost.String())
	b.fault = nil
	_, err = r.StoredPacks(t.Context(), "run-1")
	wantKind(t, err, ivd.NotFound)
}
