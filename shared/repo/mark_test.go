package repo_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
	"ivdmover/shared/store"
	"ivdmover/shared/store/faults"
)

// marked is a repository with points of one disk, which it tells of, the oldest first.
func marked(t *testing.T, r *repotest.Repository, n int) (points []ivd.PointID) {
	t.Helper()
	d := repotest.NewDisk(ivd.Geometry{Capacity: 4 * ivd.MinChunkSize, ChunkSize: ivd.MinChunkSize})
	for range n {
		points = append(points, r.Save(d, repotest.Layout{}).ID)
	}
	return points
}

// ofDisk are the marks of the one disk.
var ofDisk = repo.PointsOf{Source: repotest.Source, Disk: repotest.DiskID}

// wantMarks fails unless the marks say that a point is kept by what begins so, or is given
// up; whoever asks for one point, for a disk or for all is told the same.
func wantMark(t *testing.T, r *repo.Repository, id ivd.PointID, kept string, givenUp bool) {
	t.Helper()
	one, err := r.Mark(t.Context(), id)
	must(t, err)
	marks := []repo.Mark{one}
	for _, of := range []repo.PointsOf{ofDisk, {}} {
		all, err := r.Marks(t.Context(), of)
		must(t, err)
		marks = append(marks, all.Of(id))
	}
	for _, m := range marks {
		if got := m.Kept(); !strings.HasPrefix(got, kept) || kept == "" && got != "" {
			t.Errorf("%s is kept by %q, want %q", id, got, kept)
		}
		if m.GivenUp() != givenUp {
			t.Errorf("%s is given up: %t", id, m.GivenUp())
		}
	}
	if is, err := r.IsForgotten(t.Context(), id); err != nil || is != givenUp {
		t.Errorf("%s is forgotten: %t, %v", id, is, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A point is given up, pinned, held and let go again, in a plain and in an encrypted
// repository; others see the same.
func TestMarks(t *testing.T) {
	for what, r := range map[string]*repotest.Repository{"plain": repotest.New(t), "encrypted": repotest.Sealed(t)} {
		t.Run(what, func(t *testing.T) {
			ctx, id := t.Context(), marked(t, r, 2)[0]
			other := func() *repo.Repository { // that has read nothing before
				k := repo.Keys{}
				if what == "encrypted" {
					k.Passphrase = repotest.Passphrase
				}
				return openWith(t, r, k)
			}
			want := func(kept string, givenUp bool) {
				t.Helper()
				wantMark(t, r.Repository, id, kept, givenUp)
				wantMark(t, other(), id, kept, givenUp)
			}
			want("", false)
			must(t, r.Forget(ctx, format.Forgotten{Point: id, Reason: "no rule", Policy: "nightly", Run: "run-7"}))
			want("", true)
			m, err := other().Mark(ctx, id)
			must(t, err)
			if f := m.Forgotten; f.Reason != "no rule" || f.Policy != "nightly" || f.Run != "run-7" || f.Program == "" || r.Now().Sub(f.At).Abs() > time.Hour {
				t.Errorf("the mark says %+v", f)
			}
			must(t, r.Forget(ctx, format.Forgotten{Point: id, Reason: "once more"})) // is no error
			must(t, r.Pin(ctx, id, "before the upgrade"))
			want("pinned: before the upgrade", false)
			must(t, r.Hold(ctx, id, r.Now().Add(48*time.Hour), "case 4711"))
			want("held until ", false)
			must(t, r.Unpin(ctx, id))
			want("held until ", false)
			r.Pass(49 * time.Hour) // the hold has ended by itself
			want("", true)
			must(t, r.Hold(ctx, id, r.Now().Add(time.Hour), "again"))
			want("held until ", false)
			must(t, r.Release(ctx, id, "settled"))
			want("", true)
			must(t, r.Pin(ctx, id, ""))
			want("pinned", false)
			if _, _, err := other().ReadPoint(ctx, id); err != nil {
				t.Error(err) // nothing was deleted
			}
		})
	}
}

// What a person asks for and cannot have.
func TestMarksRefused(t *testing.T) {
	r := repotest.New(t)
	ctx, points := t.Context(), marked(t, r, 2)
	id, condemned := points[0], points[1]
	wantKind(t, r.Unpin(ctx, id), ivd.Unmet, "not pinned")
	wantKind(t, r.Release(ctx, id, "x"), ivd.Unmet, "not held")
	wantKind(t, r.Hold(ctx, id, r.Now().Add(-time.Minute), "x"), ivd.Invalid, "not after now")
	must(t, r.Hold(ctx, id, r.Now().Add(48*time.Hour), "case 4711"))
	wantKind(t, r.Hold(ctx, id, r.Now().Add(47*time.Hour), "shorter"), ivd.Unmet, "case 4711")
	must(t, r.Hold(ctx, id, r.Now().Add(49*time.Hour), "longer"))
	wantMark(t, r.Repository, id, "held until "+r.Now().Add(49*time.Hour).UTC().Format("2006-01-02T15"), false)
	must(t, r.Release(ctx, id, "x"))
	wantKind(t, r.Release(ctx, id, "x"), ivd.Unmet, "not held")
	gone := ivd.NewPointID(r.Domain(), repotest.Source, repotest.DiskID, r.Now(), "run-9")
	wantKind(t, r.Pin(ctx, gone, ""), ivd.NotFound)
	wantKind(t, r.Hold(ctx, gone, r.Now().Add(time.Hour), "x"), ivd.NotFound)
	wantMark(t, r.Repository, gone, "", false)
	for _, bad := range []func() error{
		func() error { return r.Pin(ctx, "../repo.json", "") },
		func() error { return r.Forget(ctx, format.Forgotten{Point: "x", Reason: "x"}) },
		func() error { return r.Forget(ctx, format.Forgotten{Point: id}) },
	} {
		wantKind(t, bad(), ivd.Invalid)
	}
	r.Condemn(nil, condemned)
	wantKind(t, r.Pin(ctx, condemned, ""), ivd.NotFound, "being deleted")
	wantKind(t, r.Hold(ctx, condemned, r.Now().Add(time.Hour), "x"), ivd.NotFound, "being deleted")
}

// A point that is condemned between the look at it and the pin is told of: the collector
// may have looked for pins before.
func TestPinThatComesTooLate(t *testing.T) {
	r := repotest.New(t)
	id := marked(t, r, 1)[0]
	r.Store.Add(faults.Fault{On: faults.Send, Prefix: "pins/", Do: func(store.Name) { r.Condemn(nil, id) }})
	wantKind(t, r.Pin(t.Context(), id, ""), ivd.NotFound, "too late")
	wantMark(t, r.Repository, id, "pinned", false) // and may be in time
}

// What is not understood counts in the direction that deletes nothing: below forgotten/ it
// has no effect, below pins/ and holds/ it keeps its point.
func TestMarksThatAreNotUnderstood(t *testing.T) {
	for what, r := range map[string]*repotest.Repository{"plain": repotest.New(t), "encrypted": repotest.Sealed(t)} {
		for name, lie := range map[string]func(b []byte) []byte{
			"newer":     func(b []byte) []byte { b[8] = 2; return b },
			"damaged":   func(b []byte) []byte { b[130] ^= 1; return b },
			"cut":       func(b []byte) []byte { return b[:50] },
			"empty":     func([]byte) []byte { return nil },
			"elsewhere": func(b []byte) []byte { return append([]byte("IVDPOINT"), b[8:]...) },
		} {
			for folder, kept := range map[string]bool{"forgotten/": false, "pins/": true, "holds/": true} {
				t.Run(what+" "+name+" "+folder, func(t *testing.T) {
					id := marked(t, r, 1)[0]
					mark(t, r.Repository, folder, id)
					change(t, r, store.Name(folder+string(id)), lie)
					again := openWith(t, r, keysOf(what))
					if kept {
						wantMark(t, again, id, "a mark that may keep it cannot be read: "+folder, false)
					} else {
						wantMark(t, again, id, "", false)
						all, err := again.Marks(t.Context(), ofDisk)
						must(t, err)
						if len(all.Ignored) == 0 {
							t.Error("it is not told of")
						}
					}
				})
			}
		}
	}
}

func keysOf(what string) repo.Keys {
	if what == "encrypted" {
		return repo.Keys{Passphrase: repotest.Passphrase}
	}
	return repo.Keys{}
}

// mark stores a mark of a folder.
func mark(t *testing.T, r *repo.Repository, folder string, id ivd.PointID) {
	t.Helper()
	switch folder {
	case "forgotten/":
		must(t, r.Forget(t.Context(), format.Forgotten{Point: id, Reason: "a test"}))
	case "pins/":
		must(t, r.Pin(t.Context(), id, "a test"))
	case "holds/":
		must(t, r.Hold(t.Context(), id, r.Now().Add(1000*time.Hour), "a test"))
	}
}

// change changes a stored object behind the repository's back.
func change(t *testing.T, r *repotest.Repository, name store.Name, lie func([]byte) []byte) {
	t.Helper()
	o, err := r.Clock.Get(t.Context(), name, format.MaxRecord)
	must(t, err)
	must(t, r.Clock.Put(t.Context(), name, lie(o.Body)))
}

// In an encrypted repository a mark counts only where who may say so has signed it: what a
// known key's signature fails on is ignored; a mark of another point is none of this one.
func TestMarksThatAreForged(t *testing.T) {
	r := repotest.Sealed(t)
	points := marked(t, r, 2)
	for _, folder := range []string{"forgotten/", "pins/", "holds/"} {
		mark(t, r.Repository, folder, points[0])
		change(t, r, store.Name(folder+string(points[0])), func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
	}
	again := openWith(t, r, keysOf("encrypted"))
	wantMark(t, again, points[0], "", false)
	all, err := again.Marks(t.Context(), ofDisk)
	must(t, err)
	if len(all.Ignored) != 3 {
		t.Errorf("ignored are %v", all.Ignored)
	}
	for _, err := range all.Ignored {
		if !errors.Is(err, format.ErrForged) {
			t.Error(err)
		}
	}
	mark(t, r.Repository, "forgotten/", points[0])
	o, err := r.Clock.Get(t.Context(), store.Name("forgotten/"+points[0]), format.MaxRecord)
	must(t, err)
	must(t, r.Clock.Put(t.Context(), store.Name("forgotten/"+points[1]), o.Body))
	wantMark(t, again, points[0], "", true)
	wantMark(t, again, points[1], "", false)
}

// A coordinator that only backs up signs nothing that leads to a deletion, and reads what
// others have signed.
func TestMarksOfWhoOnlyBacksUp(t *testing.T) {
	r := repotest.Sealed(t)
	points := marked(t, r, 1)
	m, err := r.Master(t.Context(), repotest.Passphrase)
	must(t, err)
	e, err := m.Export(r.Domain(), "coordinator-2", time.Now())
	must(t, err)
	ring, err := m.Ring()
	must(t, err)
	must(t, r.Store.Put(t.Context(), "keys/ring", ring))
	backup := openWith(t, r, repo.Keys{Export: &e})
	must(t, r.Forget(t.Context(), format.Forgotten{Point: points[0], Reason: "a test"}))
	wantMark(t, backup, points[0], "", true)
	must(t, r.Pin(t.Context(), points[0], "kept"))
	wantMark(t, backup, points[0], "pinned: kept", false)
	for _, do := range []func() error{
		backup.MayForget,
		func() error { return backup.Forget(t.Context(), format.Forgotten{Point: points[0], Reason: "x"}) },
		func() error { return backup.Pin(t.Context(), points[0], "") },
		func() error { return backup.Unpin(t.Context(), points[0]) },
		func() error { return backup.Hold(t.Context(), points[0], r.Now().Add(time.Hour), "x") },
		func() error { return backup.Release(t.Context(), points[0], "x") },
	} {
		wantKind(t, do(), ivd.Denied, "role retain")
	}
	must(t, r.MayForget())
	must(t, repotest.New(t).MayForget())
	wantMark(t, asMover(t, r), points[0], "a mark that may keep it cannot be read", false)
}

// Whatever request fails, or is answered by an error though it has happened, a mark is
// stored whole or not at all, and to ask again does it.
func TestMarksWhateverFails(t *testing.T) {
	acts := map[string]func(t *testing.T, r *repo.Repository, id ivd.PointID) error{
		"forget": func(t *testing.T, r *repo.Repository, id ivd.PointID) error {
			return r.Forget(t.Context(), format.Forgotten{Point: id, Reason: "a test"})
		},
		"pin":   func(t *testing.T, r *repo.Repository, id ivd.PointID) error { return r.Pin(t.Context(), id, "a test") },
		"unpin": func(t *testing.T, r *repo.Repository, id ivd.PointID) error { return r.Unpin(t.Context(), id) },
	}
	for name, act := range acts {
		for _, after := range []bool{false, true} {
			for call := 1; ; call++ {
				r := repotest.New(t)
				id := marked(t, r, 1)[0]
				if name == "unpin" {
					must(t, r.Pin(t.Context(), id, "a test"))
				}
				n := 0
				down := ivd.Errorf(ivd.Permanent, "down")
				r.Store.Each = func(faults.Method, string) error {
					if n++; n == call && !after || n == call+1 && after {
						return down
					}
					return nil
				}
				err := act(t, r.Repository, id)
				r.Store.Each = nil
				if err == nil && n < call {
					break // there is no such call
				}
				if err := act(t, r.Repository, id); err != nil && !(name == "unpin" && ivd.KindOf(err) == ivd.Unmet) {
					t.Fatalf("%s again, after its call %d had failed: %v", name, call, err)
				}
				m, err := r.Mark(t.Context(), id)
				must(t, err)
				if (m.Forgotten != nil) != (name == "forget") || (m.Pin != nil) != (name == "pin") {
					t.Fatalf("%s, whose call %d had failed: %+v", name, call, m)
				}
			}
		}
	}
	for what, f := range map[string]faults.Fault{
		"a pin that is stored":     {On: faults.Send, Prefix: "pins/", After: faults.ErrInjected},
		"a pin that is replaced":   {On: faults.Replace, Prefix: "pins/", After: faults.ErrInjected},
		"an outage before the pin": {On: faults.Replace, Prefix: "pins/", Before: faults.ErrInjected},
	} {
		r := repotest.New(t)
		id := marked(t, r, 1)[0]
		if f.On == faults.Replace {
			must(t, r.Pin(t.Context(), id, "before"))
		}
		r.Store.Add(f)
		if err := r.Pin(t.Context(), id, "after"); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		wantMark(t, r.Repository, id, "pinned: after", false)
	}
	r := repotest.New(t)
	id := marked(t, r, 1)[0]
	must(t, r.Pin(t.Context(), id, "before"))
	r.Store.Add(faults.Fault{On: faults.Replace, Prefix: "pins/", After: faults.ErrInjected})
	must(t, r.Unpin(t.Context(), id)) // and is not told that there is no pin any more
}

// A pin that was damaged is stored anew; one of a newer release is left as it is.
func TestPinInThePlaceOfOneThatCannotBeRead(t *testing.T) {
	r := repotest.New(t)
	id := marked(t, r, 1)[0]
	mark(t, r.Repository, "pins/", id)
	change(t, r, store.Name("pins/"+id), func(b []byte) []byte { return b[:50] })
	must(t, r.Pin(t.Context(), id, "anew"))
	wantMark(t, r.Repository, id, "pinned: anew", false)
	change(t, r, store.Name("pins/"+id), func(b []byte) []byte { b[8] = 2; return b })
	wantKind(t, r.Unpin(t.Context(), id), ivd.Unsupported, "version 2")
}

// Two who hold a point at once leave the longer hold.
func TestTwoHoldsAtOnce(t *testing.T) {
	for _, there := range []bool{false, true} {
		r := repotest.New(t)
		id := marked(t, r, 1)[0]
		on := faults.Send
		if there {
			must(t, r.Hold(t.Context(), id, r.Now().Add(time.Hour), "first"))
			on = faults.Replace
		}
		other := openWith(t, r, repo.Keys{})
		r.Store.Add(faults.Fault{On: on, Prefix: "holds/", Do: func(store.Name) {
			must(t, other.Hold(t.Context(), id, r.Now().Add(900*time.Hour), "longer"))
		}})
		wantKind(t, r.Hold(t.Context(), id, r.Now().Add(500*time.Hour), "shorter"), ivd.Unmet, "longer")
		m, err := r.Mark(t.Context(), id)
		must(t, err)
		if m.Hold.Reason != "longer" {
			t.Errorf("left is %+v", m.Hold)
		}
	}
}

// A repository with a feature that this release does not know is backed up to, and nothing
// is forgotten there; an outage is never taken for the absence of a mark.
func TestForgetWhereItIsNotAllowed(t *testing.T) {
	r := repotest.New(t)
	id := marked(t, r, 1)[0]
	must(t, r.Pin(t.Context(), id, ""))
	for _, folder := range []string{"forgotten/", "pins/", "holds/"} {
		for _, m := range []faults.Method{faults.List, faults.Get} {
			if m == faults.Get && folder != "pins/" {
				continue // there is nothing to read
			}
			r.Store.Each = func(on faults.Method, name string) error {
				if on == m && strings.HasPrefix(name, folder) {
					return ivd.Errorf(ivd.Transient, "away")
				}
				return nil
			}
			_, err := r.Marks(t.Context(), ofDisk)
			wantKind(t, err, ivd.Transient)
		}
		r.Store.Each = func(on faults.Method, name string) error {
			if strings.HasPrefix(name, folder) {
				return ivd.Errorf(ivd.Transient, "away")
			}
			return nil
		}
		_, err := r.Mark(t.Context(), id)
		wantKind(t, err, ivd.Transient)
	}
	r.Store.Each = nil
	change(t, r, "repo.json", func(b []byte) []byte {
		return []byte(strings.Replace(string(b), `"collect": []`, `"collect": ["x-ray"]`, 1))
	})
	wantKind(t, r.Forget(t.Context(), format.Forgotten{Point: id, Reason: "x"}), ivd.Unsupported, "x-ray")
	must(t, r.Pin(t.Context(), id, "still"))
}
