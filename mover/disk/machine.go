package disk

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// sys is where Linux tells about the machine.
const sys = "/sys"

// ThisMachine is what can be found out about the machine. The BIOS UUID and LUNs
// that are given count instead of what is found: a container has others, or none.
func ThisMachine(uuid string, luns []string) Machine { return machineAt(sys, uuid, luns) }

func machineAt(root, uuid string, luns []string) Machine {
	m := Machine{BIOSUUID: strings.ToLower(uuid), LUNs: luns}
	dmi := func(name string) string {
		text, err := os.ReadFile(filepath.Join(root, "class/dmi/id", name))
		if err != nil {
			return "" // not root, or no such firmware
		}
		return strings.TrimSpace(string(text))
	}
	m.VM = uuid != "" || strings.Contains(dmi("sys_vendor"), "VMware")
	if m.VM && m.BIOSUUID == "" {
		m.BIOSUUID = uuidOf(dmi("product_serial"), dmi("product_uuid"))
	}
	if m.LUNs == nil {
		m.LUNs = lunsAt(root)
	}
	return m
}

// uuidOf prefers the serial number, "VMware-42 1e 5c …-…": some firmware shows the
// bytes of the UUID in another order, the serial number's never change.
func uuidOf(serial, uuid string) string {
	hex, ok := strings.CutPrefix(serial, "VMware-")
	hex = strings.ToLower(strings.NewReplacer(" ", "", "-", "").Replace(hex))
	if !ok || len(hex) != 32 {
		return strings.ToLower(uuid)
	}
	return strings.Join([]string{hex[:8], hex[8:12], hex[12:16], hex[16:20], hex[20:]}, "-")
}

// lunsAt are the ids of the SCSI disks, as ESXi names them: "naa.6000…".
func lunsAt(root string) []string {
	files, err := filepath.Glob(filepath.Join(root, "block/*/device/wwid"))
	if err != nil {
		return nil
	}
	var luns []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		if id := strings.TrimSpace(string(text)); err == nil && id != "" {
			luns = append(luns, strings.Join(strings.Fields(id), "_"))
		}
	}
	slices.Sort(luns)
	return slices.Compact(luns)
}
