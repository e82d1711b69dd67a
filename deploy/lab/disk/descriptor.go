package disk

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// describe writes the descriptor of a flat disk where it is empty or absent, in
// the text form that VMware's tools and qemu read.
func describe(path string, capacity int64) error {
	if info, err := os.Stat(path); err == nil && info.Size() > 0 {
		return nil
	}
	flat := strings.TrimSuffix(filepath.Base(path), ".vmdk") + "-flat.vmdk"
	text := fmt.Sprintf(`# Disk DescriptorFile
version=1
encoding="UTF-8"
CID=fffffffe
parentCID=ffffffff
createType="vmfs"

# Extent description
RW %d VMFS "%s"

# The Disk Data Base
#DDB

ddb.adapterType = "lsilogic"
ddb.virtualHWVersion = "15"
`, capacity/SectorSize, flat)
	return replace(path, []byte(text))
}

// replace puts a file in the place of another in one step.
func replace(path string, body []byte) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, body, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
