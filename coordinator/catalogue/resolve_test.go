package catalogue

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ivdmover/shared/ivd"
)

var (
	domain  = ivd.DomainID{1}
	evening = time.Date(2026, 11, 25, 22, 0, 0, 0, time.UTC)
)

const (
	diskA = ivd.DiskID("0b7c9d4e-1111-4222-8333-444455556666")
	diskB = ivd.DiskID("5f0e1d2c-7777-4888-9999-aaaabbbbcccc")
)

func label(source ivd.SourceID) string { return "vc-" + string(source) }

func at(source ivd.SourceID, disk ivd.DiskID, name string, when time.Time) Point {
	return Point{ID: ivd.NewPointID(domain, source, disk, when, "run"), Name: name, Time: when}
}

func TestResolve(t *testing.T) {
	day := 24 * time.Hour
	first, second, third := at("one", diskA, "data", evening), at("one", diskA, "data", evening.Add(day)), at("one", diskA, "data", evening.Add(2*day))
	third.Partial = true
	renamed := []Point{at("one", diskB, "old", evening), at("one", diskB, "log@2", evening.Add(day))}
	twins := []Point{at("one", "aaaa", "twin", evening), at("two", "bbbb", "twin", evening)}
	copied := []Point{at("one", "cccc", "x", evening), at("two", "cccc", "y", evening)}
	taken := []Point{at("one", "dddd", "web", evening), at("one", "dddd", "web-old", evening.Add(day)), at("one", "eeee", "web", evening)}
	all := append([]Point{second, third, first}, renamed...)
	all = append(append(append(all, twins...), copied...), taken...)
	for text, want := range map[string]any{
		string(first.ID):          first.ID,
		Short(second.ID):          second.ID,
		Short(third.ID):           third.ID, // by its id it can be looked at
		sum(first.ID)[:5]:         first.ID,
		sum(first.ID):             first.ID,
		"data@latest":             second.ID,
		string(diskA) + "@latest": second.ID,
		strings.ToUpper(string(diskA)) + "@latest": second.ID,
		"data@2026-11-26T22:00:00Z":                second.ID, // not after: at that moment counts
		"data@2026-11-26T21:59:59Z":                first.ID,
		"data@2026-11-26T22:59:59+01:00":           first.ID,
		"data@2026-11-26T22:59+01:00":              first.ID,
		"data@2030-01-01T00:00:00Z":                second.ID,
		"data@2020-01-01T00:00:00Z":                ivd.NotFound,
		"old@latest":                               renamed[1].ID,
		"log@2@latest":                             renamed[1].ID,
		"web@latest":                               taken[2].ID, // which is called so now
		"web-old@latest":                           taken[1].ID,
		"twin@latest":                              ivd.Unmet,
		"aaaa@latest":                              twins[0].ID,
		"cccc@latest":                              ivd.Unmet,
		"x@latest":                                 copied[0].ID,
		"vc-two/cccc@latest":                       copied[1].ID,
		"two/cccc@latest":                          copied[1].ID,
		"vc-two/twin@latest":                       twins[1].ID,
		"vc-one/y@latest":                          ivd.NotFound,
		"vc-three/cccc@latest":                     ivd.NotFound,
		"nobody@latest":                            ivd.NotFound,
		"data@yesterday":                           ivd.Invalid,
		"data@2026-11-26T22:00":                    ivd.Invalid, // of which place?
		"data":                                     ivd.Invalid,
		"@latest":                                  ivd.Invalid,
		"":                                         ivd.Invalid,
		"abc":                                      ivd.Invalid,
		"00000000000000000000000000":               ivd.NotFound,
	} {
		got, err := Resolve(all, text, label)
		if id, ok := want.(ivd.PointID); ok {
			if err != nil || got != id {
				t.Errorf("%q is %s, want %s: %v", text, got, id, err)
			}
			continue
		}
		if ivd.KindOf(err) != want || ivd.RemedyOf(err) == "" || got != "" {
			t.Errorf("%q is %q, want an error of kind %s: %v", text, got, want, err)
		}
	}
	_, err := Resolve(all, "twin@latest", label)
	if !strings.Contains(err.Error(), "aaaa of vc-one, bbbb of vc-two") {
		t.Errorf("which disks? %v", err)
	}
}

// Points whose short ids begin alike are shown with more digits, and one of the
// beginnings that they share means none of them.
func TestShortsThatCollide(t *testing.T) {
	var ids []ivd.PointID
	var points []Point
	for n := range 70_000 { // among so many some begin alike in 8 digits
		p := at("one", ivd.DiskID(fmt.Sprintf("disk-%d", n)), "", evening)
		ids, points = append(ids, p.ID), append(points, p)
	}
	longer := 0
	for i, s := range Shorts(ids) {
		if len(s) < shortDigits || !strings.HasPrefix(sum(ids[i]), s) {
			t.Fatalf("%s is %q", ids[i], s)
		}
		if len(s) == shortDigits {
			continue
		}
		longer++
		if id, err := Resolve(points, s, label); err != nil || id != ids[i] {
			t.Errorf("%s is %s, want %s: %v", s, id, ids[i], err)
		}
		if _, err := Resolve(points, s[:shortDigits], label); ivd.KindOf(err) != ivd.Unmet || !strings.Contains(err.Error(), s) {
			t.Errorf("%s: %v", s[:shortDigits], err)
		}
	}
	if longer < 2 {
		t.Errorf("%d of %d need more digits", longer, len(ids))
	}
	if s := Shorts([]ivd.PointID{ids[0], ids[0]}); s[0] != s[1] || len(s[0]) != shortDigits {
		t.Errorf("one point twice: %q", s)
	}
}

func TestLocalize(t *testing.T) {
	berlin := time.FixedZone("CET", 3600)
	for text, want := range map[string]string{
		"data@2026-11-25T22:00":       "data@2026-11-25T21:00:00Z",
		"data@2026-11-25 22:00:30":    "data@2026-11-25T21:00:30Z",
		"a@b@2026-11-25T22:00":        "a@b@2026-11-25T21:00:00Z",
		"data@2026-11-25T22:00:00Z":   "data@2026-11-25T22:00:00Z",
		"data@2026-11-25T22:00+05:00": "data@2026-11-25T22:00+05:00",
		"data@latest":                 "data@latest",
		"0badcafe":                    "0badcafe",
	} {
		if got := Localize(text, berlin); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func TestMoment(t *testing.T) {
	for _, c := range []struct {
		snapshot, sealed time.Time
		want             time.Time
		doubted          bool
	}{
		{evening, evening.Add(3 * time.Hour), evening, false},
		{evening, evening.Add(24 * time.Hour), evening, false},
		{evening, evening.Add(24*time.Hour + 1), evening.Add(24*time.Hour + 1), true},
		{evening.AddDate(9, 0, 0), evening, evening, true},
		{evening, time.Time{}, evening, false},
	} {
		if got, doubted := (Point{Time: c.snapshot, SealedAt: c.sealed}).Moment(); !got.Equal(c.want) || doubted != c.doubted {
			t.Errorf("%s, sealed at %s: %s, doubted: %t", c.snapshot, c.sealed, got, doubted)
		}
	}
}
