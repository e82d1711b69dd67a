package script

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The library reads the variables; no program that works with VMware's knows them.
func TestTheLaboratorysVariablesAreTheLaboratorysAlone(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	text, err := os.ReadFile(filepath.Join(root, "vddk", "lab", "init.c"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{ProxyVariable, FolderVariable, TransportsVariable} {
		if !bytes.Contains(text, []byte(`getenv("`+name+`")`)) {
			t.Errorf("the library does not read %s", name)
		}
	}
	for _, room := range []string{"mover", "vddk", "shared", "coordinator"} {
		err := filepath.WalkDir(filepath.Join(root, room), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && (d.Name() == "lab" || d.Name() == "disktest") {
				return fs.SkipDir
			}
			if d.IsDir() || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			text, err := os.ReadFile(path)
			if bytes.Contains(text, []byte("IVD_LAB_")) || bytes.Contains(text, []byte("labProxy")) {
				t.Errorf("%s knows of the laboratory", path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
