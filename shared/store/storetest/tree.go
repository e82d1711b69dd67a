package storetest

import (
	"io/fs"
	"path/filepath"
	"testing"
	"time"
)

// Tree is what a folder holds, with the time of each.
func Tree(t testing.TB, folder string) map[string]time.Time {
	t.Helper()
	all := map[string]time.Time{}
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		all[path] = info.ModTime()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
