package doctor

import (
	"debug/elf"
	"errors"
	"path/filepath"
	"slices"
	"strings"
)

// symbols are the library's functions that the binding looks for, without their
// prefix; a star: it can do without.
var symbols = []string{
	"InitEx", "Exit", "GetErrorText", "FreeErrorText", "ConnectEx", "Disconnect", "Open", "Close", "GetInfo", "FreeInfo",
	"GetTransportMode", "ReadAsync", "Wait", "*WriteAsync", "*Flush",
	"*AllocateConnectParams", "*FreeConnectParams", "*QueryAllocatedBlocks", "*FreeBlockList", "*PrepareForAccess",
	"*EndAccess", "*Cleanup", "*ListTransportModes", "*GetConnectParams", "*GetMetadataKeys", "*ReadMetadata",
	"*WriteMetadata", "*CheckRepair",
}

// libraryFile is the library that a folder has, the newest first.
func libraryFile(libdir string) (string, error) {
	for _, pattern := range []string{"lib64/libvixDiskLib.so.*", "libvixDiskLib.so.*"} {
		files, err := filepath.Glob(filepath.Join(libdir, pattern))
		if err != nil {
			return "", err
		}
		slices.Sort(files)
		for _, f := range slices.Backward(files) {
			if real, err := filepath.EvalSymlinks(f); err == nil {
				return real, nil
			}
		}
	}
	return "", errors.New("no libvixDiskLib.so below " + libdir)
}

// lookUp reads a library's symbols from its file: loading it may be what fails.
func lookUp(file string) (present, absent []string, err error) {
	f, err := elf.Open(file)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	list, err := f.DynamicSymbols()
	if err != nil {
		return nil, nil, err
	}
	has := map[string]bool{}
	for _, s := range list {
		if name, ours := strings.CutPrefix(s.Name, "VixDiskLib_"); ours && s.Section != elf.SHN_UNDEF {
			has[name] = true
		}
	}
	for _, s := range symbols {
		name, optional := strings.CutPrefix(s, "*")
		switch {
		case has[name]:
			present = append(present, name)
		case optional:
			absent = append(absent, name+" (optional)")
		default:
			absent = append(absent, name+" (NEEDED)")
		}
	}
	return present, absent, nil
}
