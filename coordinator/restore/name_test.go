package restore

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"ivdmover/coordinator/inventory"
	"ivdmover/shared/ivd"
)

func TestNamesThatAreRefused(t *testing.T) {
	for _, bad := range []string{
		"a\x1b[31m", "a\nb", "../a", `a\b`, "..", " a", "a ", "a\u202eb", "a\u200bb", "a\xff", "\u009b2J", strings.Repeat("ä", 81), inventory.WorkingPrefix + "x",
	} {
		err := checkName(bad)
		if ivd.KindOf(err) != ivd.Invalid || ivd.RemedyOf(err) == "" {
			t.Errorf("%q: %v", bad, err)
		} else if strings.ContainsAny(err.Error(), "\x1b\n\u202e\u009b") {
			t.Errorf("%q is in its error: %q", bad, err)
		}
	}
	for _, good := range []string{"data-01", "größe 2", "磁盘", "a..b", strings.Repeat("ä", 80)} {
		if err := checkName(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}

// Whatever a disk was called, its restored one gets a name that is taken.
func TestNameAfterAnyName(t *testing.T) {
	at := time.Date(2026, 11, 24, 23, 15, 2, 0, time.UTC)
	if got := nameAfter("data", at); got != "data-20261124T231502Z" {
		t.Error(got)
	}
	for _, old := range []string{"", "../a", "a\nb", strings.Repeat("ä", 300), " ", "\xff\xfe", "\u202e"} {
		got := nameAfter(old, at)
		if err := checkName(got); err != nil || !strings.HasSuffix(got, "-20261124T231502Z") || !utf8.ValidString(got) {
			t.Errorf("%q: %q, %v", old, got, err)
		}
	}
}
