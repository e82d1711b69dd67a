package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"ivdmover/deploy/stage"
)

// An ext4 file system is backed up, changed, backed up again; both points come back
// byte for byte and whole, against a real S3 server.
func TestFileSystemComesBackAsItWasBothTimes(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := newStage(t)
	_, err := s.StartS3(ctx)
	must(t, err)

	tree := t.TempDir()
	must(t, os.CopyFS(tree, os.DirFS(".")))
	must(t, os.WriteFile(filepath.Join(tree, "big"), make([]byte, 3<<20), 0o600))
	disk, err := s.Register(ctx, "datastore1", "files", func(flat string) error {
		return stage.MakeExt4(ctx, flat, tree, 48)
	})
	must(t, err)
	flat, err := s.Flat(disk)
	must(t, err)

	coordinator, _ := serve(t, s, "m1", "m2")
	first := backup(t, s, coordinator).Disk("files")
	was := s.Path("was.img")
	must(t, stage.Copy(ctx, flat, was))

	must(t, s.CopyExt4File(ctx, disk, "main_test.go", "written-by-the-guest"))
	second := backup(t, s, coordinator).Disk("files")

	if second.Mode != "changed" || second.Stats.ReadBytes >= first.Stats.ReadBytes/2 {
		t.Errorf("the second backup is %q and read %d bytes, the first %d: want only what changed", second.Mode, second.Stats.ReadBytes, first.Stats.ReadBytes)
	}
	must(t, stage.CheckExt4(ctx, restoreAndCompare(t, s, coordinator, first.Point, "files-first", was)))
	must(t, stage.CheckExt4(ctx, restoreAndCompare(t, s, coordinator, second.Point, "files-second", flat)))
	if _, err := stage.Compare(was, flat); err == nil {
		t.Error("the guest changed nothing: the test shows nothing")
	}
	nothingLeft(t, s)
}
