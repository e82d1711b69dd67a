package architecture

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// drawnFolders are those whose rooms docs/architecture.md draws.
var drawnFolders = []string{"coordinator", "mover", "shared", "vddk"}

// drawing reads the picture of the rooms in docs/architecture.md: lines of
// "folder │ room · room", the upper ones standing on the lower ones. It returns the
// number of each package's line.
func drawing(t *testing.T) map[string]int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "```rooms\n")
	picture, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("docs/architecture.md has no picture of the rooms")
	}
	lines := map[string]int{}
	n := 0
	for line := range strings.Lines(picture) {
		folder, rooms, ok := strings.Cut(line, "│")
		if !ok {
			continue
		}
		n++
		for room := range strings.SplitSeq(rooms, "·") {
			name := strings.TrimSpace(folder) + "/" + strings.TrimSpace(room)
			if strings.TrimSpace(room) == "(main)" {
				name = strings.TrimSpace(folder)
			}
			if other, twice := lines[name]; twice {
				t.Errorf("the picture has %s twice, in its lines %d and %d", name, other, n)
			}
			lines[name] = n
		}
	}
	return lines
}

// The picture of the rooms has all of them, and each imports only what is drawn below
// it: so a reader can take the picture from top to bottom, and nothing goes in a
// circle.
func TestPictureOfTheRooms(t *testing.T) {
	lines := drawing(t)
	all := packages(t)
	used := map[string]bool{} // by a program, not by tests alone
	imports := map[string][]string{}
	var programs []string
	for _, p := range all {
		imports[p.ImportPath] = p.Imports
		if p.Name == "main" {
			programs = append(programs, p.ImportPath)
		}
	}
	for next := programs; len(next) > 0; next = next[1:] {
		if at := next[0]; !used[at] {
			used[at] = true
			next = append(next, imports[at]...)
		}
	}
	seen := map[string]bool{}
	for _, p := range all {
		if !used[p.ImportPath] || !slices.ContainsFunc(drawnFolders, func(f string) bool { return within(p.rel(), f) }) {
			continue
		}
		at, drawn := lines[p.rel()]
		if !drawn {
			t.Errorf("%s is not in the picture", p.rel())
			continue
		}
		seen[p.rel()] = true
		for _, imp := range p.Imports {
			in, ours := strings.CutPrefix(imp, module+"/")
			if below, drawn := lines[in]; ours && drawn && below <= at {
				t.Errorf("%s imports %s, which is not drawn below it", p.rel(), in)
			}
		}
	}
	for name := range lines {
		if !seen[name] {
			t.Errorf("the picture has %s, which is not there", name)
		}
	}
}
