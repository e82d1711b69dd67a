package disk

import (
	"fmt"
	"slices"
	"strings"

	"ivdmover/shared/ivd"
)

// consequences are what cannot be done with a library that lacks one of some
// functions. Of those that are not named here nothing depends.
var consequences = []struct {
	functions []string
	what      string
}{
	{[]string{"AllocateConnectParams", "FreeConnectParams"}, "disks of their own cannot be opened"},
	{[]string{"WriteAsync", "Flush"}, "nothing can be restored by this mover"},
	{[]string{"PrepareForAccess", "EndAccess"}, "VMs may be relocated while their disks are backed up, and the backup of such a disk begins again"},
	{[]string{"QueryAllocatedBlocks", "FreeBlockList"}, "what is not allocated is read, too"},
	{[]string{"Cleanup"}, "a disk that stays hot-added when the process dies has to be detached from this VM by hand"},
	{[]string{"ListTransportModes"}, "each transport that is allowed is tried"},
}

// Lacks says, a line each, what cannot be done without the functions that a library is
// missing.
func Lacks(missing []string) (lines []string) {
	for _, c := range consequences {
		names := slices.DeleteFunc(slices.Clone(c.functions), func(f string) bool { return !slices.Contains(missing, f) })
		if len(names) > 0 {
			lines = append(lines, "VixDiskLib_"+strings.Join(names, ", VixDiskLib_")+": "+c.what)
		}
	}
	return lines
}

// needs returns nil, or the error of a library that lacks one of the functions.
func (h *Host) needs(op, remedy string, functions ...string) error {
	for _, f := range functions {
		if slices.Contains(h.missing, f) {
			return &ivd.Error{
				Kind: ivd.Unsupported, Op: op, Remedy: remedy,
				Err: fmt.Errorf("VDDK %s of this mover has no VixDiskLib_%s", h.lib.Version(), f),
			}
		}
	}
	return nil
}

// canWrite refuses to write with a library that only reads.
func (h *Host) canWrite(s Spec) error {
	if !s.Write {
		return nil
	}
	return h.needs(fmt.Sprintf("write to disk %s", s.Disk.Ref.ID()), "restore by a mover whose VDDK can write", writes...)
}

// writes are the functions without which nothing is written.
var writes = []string{"WriteAsync", "Flush"}

// canAccess refuses what PrepareForAccess and EndAccess are for. Neither is of use
// without the other.
func (h *Host) canAccess() error {
	return h.needs("prepare access", "", "PrepareForAccess", "EndAccess")
}
