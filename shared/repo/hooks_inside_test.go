package repo

import (
	"slices"
	"testing"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// A content that lies in a pack several times is one hook, and no other comes of it.
func TestHooksOfRepeatedContents(t *testing.T) {
	a, b := ivd.ContentID{1}, ivd.ContentID{2}
	for _, c := range []struct{ has, want []ivd.ContentID }{
		{nil, nil},
		{[]ivd.ContentID{b, a}, []ivd.ContentID{b, a}},
		{[]ivd.ContentID{a, a, a, b, b}, []ivd.ContentID{a, b}},
		{[]ivd.ContentID{{9}, {5}, {4}, {3}, {2}, {1}}, []ivd.ContentID{{9}, {1}, {2}, {3}}},
	} {
		var entries []format.Entry
		for _, id := range c.has {
			entries = append(entries, format.Entry{ID: id})
		}
		if got := hooksOf(entries); !slices.Equal(got, c.want) {
			t.Errorf("of %v: %v, want %v", c.has, got, c.want)
		}
	}
}
