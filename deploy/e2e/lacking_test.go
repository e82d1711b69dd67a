package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"ivdmover/deploy/stage"
)

// lacking has the movers use a library without some functions.
func lacking(t *testing.T, s *stage.Stage, functions string) {
	t.Helper()
	folder := s.Path("vddk")
	out, err := exec.Command("make", "-s", "-C", "../../vddk/lab", "lacking",
		"OUT="+os.Getenv("IVD_VDDK_LIBDIR"), "TO="+folder, "LACKS="+functions).CombinedOutput()
	if err != nil {
		t.Fatalf("make a library without %s: %v\n%s", functions, err, out)
	}
	s.Lab.VDDKLibDir = folder
}

// A library that keeps the ABI is used for what it can: this one opens and reads
// disks, and nothing else.
func TestALibraryThatOnlyReads(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	ctx := t.Context()
	disk, err := s.Owner.Create(ctx, "datastore1", "data", 32)
	must(t, err)
	must(t, s.GuestWrites(ctx, disk, 0, 8<<20, 5))
	must(t, s.Owner.Attach(ctx, disk.Ref, 1))
	flat, err := s.Flat(disk)
	must(t, err)
	whole := s.Lab.VDDKLibDir
	lacking(t, s, "PrepareForAccess EndAccess Cleanup QueryAllocatedBlocks FreeBlockList GetMetadataKeys ReadMetadata WriteMetadata CheckRepair ListTransportModes GetConnectParams WriteAsync Flush")
	coordinator, _ := serve(t, s, "m1")
	point := backup(t, s, coordinator).Disk("data").Point
	nothingLeft(t, s)

	id, err := s.Restore(ctx, point, "data-back")
	must(t, err)
	var waiting struct{ Waiting string }
	must(t, coordinator.Await(ctx, "the restore says for what it waits", limit, func() bool {
		return s.Quietly(ctx, &waiting, "run", "show", id) == nil && waiting.Waiting != ""
	}))
	for _, says := range []string{"no mover takes restores", "VixDiskLib_WriteAsync", "start a mover whose VDDK can write"} {
		if !strings.Contains(waiting.Waiting, says) {
			t.Errorf("a restore without writes waits for %q, not %q", waiting.Waiting, says)
		}
	}
	log, err := os.ReadFile(s.Path("logs", "m1.log"))
	must(t, err)
	for _, says := range []string{"VMs may be relocated", "nothing can be restored", "what is not allocated", "has to be detached", "takes no restores"} {
		if strings.Count(string(log), says) != 1 {
			t.Errorf("%d lines of the mover's log say %q", strings.Count(string(log), says), says)
		}
	}

	// One whose library writes does that restore, and all others, although the first is
	// there.
	s.Lab.VDDKLibDir = whole
	must(t, s.WriteConfig())
	_, err = s.StartMover("m2")
	must(t, err)
	_, err = s.Ended(ctx, coordinator, id, limit)
	must(t, err)
	restored, err := s.ByName(ctx, "data-back")
	must(t, err)
	back, err := s.Flat(restored)
	must(t, err)
	if _, err := stage.Compare(flat, back); err != nil {
		t.Error(err)
	}
	restoreAndCompare(t, s, coordinator, point, "data-again", flat)
	nothingLeft(t, s)
}
