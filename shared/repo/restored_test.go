package repo_test

import (
	"strings"
	"testing"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// A restore's end is stored once: the same again, by whoever, is no error and
// changes nothing; another end of the same restore is refused.
func TestRestored(t *testing.T) {
	b, r := made(t)
	end := format.Restored{
		Run: "run-1", Item: string(disk), Point: ivd.NewPointID(r.Domain(), source, disk, r.Now(), "run-0"),
		Source: source, Datastore: "datastore-1", Disk: "11111111-1111-4111-8111-111111111111", Name: "back",
	}
	_, err := r.ReadRestored(t.Context(), end.Run, end.Item)
	wantKind(t, err, ivd.NotFound, "restores/")
	for range 2 {
		if err := r.PutRestored(t.Context(), end); err != nil {
			t.Fatal(err)
		}
		b.pass(time.Hour)
	}
	got, err := r.ReadRestored(t.Context(), end.Run, end.Item)
	if err != nil {
		t.Fatal(err)
	}
	if d := b.now().Sub(got.Ended); d < time.Hour+59*time.Minute {
		t.Errorf("it ended %s ago: it was stored anew", d)
	}
	if want := "restores/" + r.Domain().String() + "/run-1-" + string(disk); got.Object != want || got.Disk != end.Disk || got.Name != "back" || got.Point != end.Point {
		t.Errorf("%+v", got)
	}
	for what, change := range map[string]func(*format.Restored){
		"another disk":      func(e *format.Restored) { e.Disk = "22222222-2222-4222-8222-222222222222" },
		"another name":      func(e *format.Restored) { e.Name = "other" },
		"another datastore": func(e *format.Restored) { e.Datastore = "datastore-2" },
		"another point":     func(e *format.Restored) { e.Point = ivd.NewPointID(r.Domain(), source, disk, r.Now(), "run-9") },
	} {
		other := end
		change(&other)
		if err := r.PutRestored(t.Context(), other); ivd.KindOf(err) != ivd.Exists {
			t.Errorf("%s: %v", what, err)
		}
	}
	if now, err := r.ReadRestored(t.Context(), end.Run, end.Item); err != nil || now.Name != "back" || !now.Ended.Equal(got.Ended) {
		t.Errorf("it says by now %+v: %v", now, err)
	}
	end.Item, end.Name = "other", ""
	wantKind(t, r.PutRestored(t.Context(), end), ivd.Invalid)
	b.put(storeName(got.Object), []byte("IVDRSEND and no more"))
	_, err = r.ReadRestored(t.Context(), "run-1", string(disk))
	wantKind(t, err, ivd.Corrupt, got.Object)
}

// An outage is not the absence of a restore's end, and one whose answer was lost is
// there when it is stored again.
func TestRestoredInDoubt(t *testing.T) {
	b, r := made(t)
	end := format.Restored{
		Run: "run-1", Item: "a", Point: ivd.NewPointID(r.Domain(), source, disk, r.Now(), "run-0"),
		Source: source, Datastore: "datastore-1", Disk: disk, Name: "back",
	}
	away := ivd.Errorf(ivd.Transient, "away")
	b.after = func(op, name string) error {
		if op == "send" && strings.HasPrefix(name, "restores/") {
			return away
		}
		return nil
	}
	wantKind(t, r.PutRestored(t.Context(), end), ivd.Transient, "restores/")
	b.after = nil
	b.fault = func(string, string) error { return away }
	_, err := r.ReadRestored(t.Context(), "run-1", "a")
	wantKind(t, err, ivd.Transient)
	b.fault = nil
	if _, err := r.ReadRestored(t.Context(), "run-1", "a"); err != nil {
		t.Error(err)
	}
	if err := r.PutRestored(t.Context(), end); err != nil {
		t.Error(err)
	}
}
