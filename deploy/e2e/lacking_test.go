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
	coordinator, movers := serve(t, s, "m1")
	point := backup(t, s, coordinator).Disk("data").Point
	nothingLeft(t, s)

	id, err := s.Restore(ctx, point, "data-back")
	must(t, err)
	_, err = s.Ended(ctx, coordinator, id, limit)
	if err == nil || !strings.Contains(err.Error(), "VixDiskLib_WriteAsync") {
		t.Errorf("a restore without writes: %v", err)
	}
	nothingLeft(t, s)
	log, err := os.ReadFile(s.Path("logs", "m1.log"))
	must(t, err)
	for _, says := range []string{"VMs may be relocated", "nothing can be restored", "what is not allocated", "has to be detached"} {
		if strings.Count(string(log), says) != 1 {
			t.Errorf("%d lines of the mover's log say %q", strings.Count(string(log), says), says)
		}
	}

	must(t, movers[0].Stop())
	s.Lab.VDDKLibDir = whole
	must(t, s.WriteConfig())
	_, err = s.StartMover("m2")
	must(t, err)
	restoreAndCompare(t, s, coordinator, point, "data-again", flat)
}
