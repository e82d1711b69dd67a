package ivd_test

import (
	"path"
	"regexp"
	"strings"
	"testing"
	"time"

	"ivdmover/shared/ivd"
)

func TestPointID(t *testing.T) {
	domain := ivd.DomainID{0x7d, 0x1f}
	at := time.Date(2026, 11, 24, 23, 15, 2, 999, time.FixedZone("", 3600))
	for _, disk := range []ivd.DiskID{"0b7c9d4e-1111-4222-8333-444455556666", "5029aaaa-0000-4000-8000-000000000002.2000"} {
		id := ivd.NewPointID(domain, "lab.example", disk, at, "20261124t231500z-1f0c2a9b")
		if want := "7d1f0000-0000-0000-0000-000000000000/lab.example/" + string(disk) + "/20261124T221502Z-20261124t231500z-1f0c2a9b"; string(id) != want {
			t.Fatalf("%s, want %s", id, want)
		}
		for k, p := range map[int]ivd.PointID{0: id, 3: id.Part(3)} {
			if parsed, err := ivd.ParsePointID(string(p)); err != nil || parsed != p {
				t.Errorf("%s: %v", p, err)
			}
			if p.Domain() != domain || p.Source() != "lab.example" || p.Disk() != disk || p.Run() != "20261124t231500z-1f0c2a9b" || !p.Time().Equal(at.Truncate(time.Second)) {
				t.Errorf("%s: %s, %s, %s, %s, %s", p, p.Domain(), p.Source(), p.Disk(), p.Run(), p.Time())
			}
			if n, partial := p.Partial(); n != k || partial != (k > 0) {
				t.Errorf("%s: part %d, %t", p, n, partial)
			}
		}
	}
	good := string(ivd.NewPointID(domain, "lab", "disk", at, "run"))
	for _, bad := range []string{
		"", "/", "lab/disk/20261124T221502Z-run", good + "/x", "x/" + good, good + ".p0", good + ".p", good + ".px", good + ".x", good + ".p1.p2",
		"7D1F0000-0000-0000-0000-000000000000/lab/disk/20261124T221502Z-run",
		"7d1f0000-0000-0000-0000-000000000000/Lab/disk/20261124T221502Z-run",
		"7d1f0000-0000-0000-0000-000000000000/../disk/20261124T221502Z-run",
		"7d1f0000-0000-0000-0000-000000000000/lab/disk/20261324T221502Z-run",
		"7d1f0000-0000-0000-0000-000000000000/lab/disk/20261124T221502Z-",
		"7d1f0000-0000-0000-0000-000000000000/lab/disk/20261124T221502Z-Run",
	} {
		p, err := ivd.ParsePointID(bad)
		if err == nil || ivd.KindOf(err) != ivd.Invalid {
			t.Errorf("%q is %q: %v", bad, p, err)
		}
		_, _, _, _ = ivd.PointID(bad).Domain(), ivd.PointID(bad).Time(), ivd.PointID(bad).Run(), ivd.PointID(bad).Disk() // which must not panic
	}
}

// Areas between two marks can be asked for only in one series, and only forwards.
func TestChangeIDAfter(t *testing.T) {
	for _, c := range []struct {
		later, earlier ivd.ChangeID
		want           bool
	}{
		{"52 d6/17", "52 d6/12", true},
		{"52 d6/100", "52 d6/99", true},
		{"52 d6/12", "52 d6/12", false},
		{"52 d6/11", "52 d6/12", false},
		{"52 d6/17", "53 d6/12", false},
		{"52 d6/x", "52 d6/12", false},
		{"52 d6/17", "52 d6", false},
		{"", "", false},
	} {
		if got := c.later.After(c.earlier); got != c.want {
			t.Errorf("%q after %q: %t", c.later, c.earlier, got)
		}
	}
}

// pointPattern is what a point's name is, but for times that are none.
var pointPattern = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/[0-9a-z][0-9a-z.-]{0,127}/[0-9a-z][0-9a-z.-]{0,127}/[0-9]{8}T[0-9]{6}Z-[0-9a-z-]{1,64}(\.p[1-9][0-9]{0,5})?$`)

func isTime(s string) bool {
	at, _, _ := strings.Cut(path.Base(s), "-")
	_, err := time.Parse("20060102T150405Z", at)
	return err == nil
}

// FuzzParse reads what names of objects, and people, may say. What is taken is one name in
// its folder, and is written as it was read.
func FuzzParse(f *testing.F) {
	point := ivd.NewPointID(ivd.DomainID{1}, "lab.example", "0b7c9d4e-1111-4222-8333-444455556666.2000", time.Unix(1e9, 0), "20261124t231500z-1f0c2a9b")
	for _, s := range []string{string(point), string(point.Part(2)), string(point.Source()), string(point.Disk()), "..", ".", strings.Repeat("ab", 32), "../../etc/passwd"} {
		f.Add(s)
	}
	one := func(t *testing.T, name string) {
		t.Helper()
		if path.Clean(name) != name || strings.ContainsAny(name, "/\\") || name == "." || name == ".." {
			t.Errorf("%q is taken for one name", name)
		}
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ivd.ParsePointID(s)
		if is := pointPattern.MatchString(s) && isTime(s); is != (err == nil) {
			t.Fatalf("%q: %v", s, err)
		}
		if err == nil {
			for _, part := range strings.Split(string(id), "/") {
				one(t, part)
			}
			if string(id) != s || id.Domain().String() != strings.Split(s, "/")[0] || id.Time().IsZero() {
				t.Errorf("%q is taken for %q", s, id)
			}
		}
		if id, err := ivd.ParseSourceID(s); err == nil {
			one(t, string(id))
		}
		if id, err := ivd.ParseDiskID(s); err == nil {
			one(t, string(id))
			if again, err := ivd.ParseDiskID(string(id)); err != nil || again != id {
				t.Errorf("%q: %q, %v", id, again, err)
			}
		}
		if id, err := ivd.ParsePackID(s); err == nil && id.String() != strings.ToLower(s) {
			t.Errorf("%q is taken for %s", s, id)
		}
	})
}
