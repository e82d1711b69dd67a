package vddk_test

import (
	"debug/elf"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The laboratory's library by itself, under AddressSanitizer and ThreadSanitizer: its
// rules, what it does not forgive, and the calls that the binding never makes.
func TestLaboratoryLibrary(t *testing.T) {
	for _, pattern := range []string{"lab/*.c", "lab/*.h", "lab/Makefile", "lab/check/*.[ch]", "vix-errors.tsv"} {
		track(t, pattern)
	}
	for _, sanitizer := range []string{"address,undefined", "thread"} {
		t.Run(sanitizer, func(t *testing.T) {
			out, err := exec.Command("make", "-s", "-C", "lab", "check", "SANITIZE="+sanitizer, "OUT="+filepath.Join(t.TempDir(), "out")).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		})
	}
}

// header are the functions of VMware's header, without their prefix.
const header = `AllocateConnectParams Attach CheckRepair Cleanup Clone Close Connect ConnectEx Create CreateChild
Defragment Disconnect EndAccess Exit Flush FreeBlockList FreeConnectParams FreeErrorText FreeInfo GetConnectParams
GetErrorText GetInfo GetMetadataKeys GetTransportMode Grow Init InitEx IsAttachPossible ListTransportModes Open
PrepareForAccess QueryAllocatedBlocks Read ReadAsync ReadMetadata Rename Shrink SpaceNeededForClone Unlink Wait Write
WriteAsync WriteMetadata`

// Any program that is linked against VDDK links with the laboratory's library.
func TestLaboratoryExportsTheWholeHeader(t *testing.T) {
	f, err := elf.Open(filepath.Join(libdir(), "lib64", "libvixDiskLib.so.8"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	list, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range list {
		if name, ours := strings.CutPrefix(s.Name, "VixDiskLib_"); ours && s.Section != elf.SHN_UNDEF {
			got = append(got, name)
		}
	}
	slices.Sort(got)
	if want := strings.Fields(header); !slices.Equal(got, want) {
		t.Errorf("it exports %v, the header has %v", got, want)
	}
}
