package doctor

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// The names are the binding's, needed and optional.
func TestSymbolsAreTheBindings(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "vddk", "symbols.h"))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, m := range regexp.MustCompile(`(?m)^\s(REQUIRED|OPTIONAL)\([^,]+, (\w+),`).FindAllStringSubmatch(string(text), -1) {
		name := m[2]
		if m[1] == "OPTIONAL" {
			name = "*" + name
		}
		want = append(want, name)
	}
	have := slices.Clone(symbols)
	slices.Sort(want)
	slices.Sort(have)
	if !slices.Equal(want, have) {
		t.Errorf("the binding has %v, the doctor %v", want, have)
	}
}

func TestAFileThatIsNoLibraryIsSaid(t *testing.T) {
	dir := t.TempDir()
	if _, err := libraryFile(dir); err == nil {
		t.Error("an empty folder has a library")
	}
	if err := os.WriteFile(filepath.Join(dir, "libvixDiskLib.so.8.0.0"), []byte("no library"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := libraryFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := lookUp(file); err == nil {
		t.Error("it was read")
	}
}
