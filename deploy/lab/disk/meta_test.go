package disk

import "testing"

func FuzzParseMeta(f *testing.F) {
	f.Add([]byte("version 1\nseries -\nsince 0\nepoch 1\ncbt 0\n"))
	f.Add([]byte("version 1\nseries 5b2\nsince 3\nepoch 9\ncbt 1\nrevert a\nsnapshot a 4 -\nsnapshot b 8 5b2\n"))
	f.Add([]byte("version 2\nepoch 1\n"))
	f.Add([]byte("version 1\nepoch -1\nsnapshot ../x 1 -\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parseMeta(text)
		if err != nil {
			return
		}
		again, err := parseMeta([]byte(m.String()))
		if err != nil || again.String() != m.String() {
			t.Fatalf("%q became %q: %v", m.String(), again.String(), err)
		}
		for _, s := range m.snapshots {
			if !idPattern.MatchString(s.ID) {
				t.Fatalf("snapshot %q", s.ID)
			}
		}
	})
}
