package disk

import (
	"slices"
	"strings"

	"ivdmover/shared/job"
)

// The transports that a choice is made of, as VDDK names them.
const (
	san    = "san"
	hotadd = "hotadd"
	nbdssl = "nbdssl"
	nbd    = "nbd"
	file   = "file"
)

// Machine is what bears on transports of the machine that this is.
type Machine struct {
	VM       bool     // of VMware's hypervisor, as far as it can be told
	BIOSUUID string   // in small letters; empty: not to be had
	LUNs     []string // ids of the SCSI disks that it sees
}

// wanted is what a choice is made for.
type wanted struct {
	write  bool
	allows *job.Allows // nil: nothing is known of the disk
}

// choose keeps of the transports, in their order, those that neither the machine
// nor the disk rules out, and says of the others why. What is not known rules
// nothing out: the library's answer tells.
func choose(modes []string, m Machine, w wanted) (keep []string, refused []job.Refusal) {
	for _, mode := range modes {
		if reason := refusal(mode, m, w); reason != "" {
			refused = append(refused, job.Refusal{Transport: mode, Reason: reason})
		} else {
			keep = append(keep, mode)
		}
	}
	return keep, refused
}

// refusal is why a transport cannot serve; empty where it may.
func refusal(mode string, m Machine, w wanted) string {
	a := w.allows
	if a == nil {
		a = &job.Allows{}
	}
	switch mode {
	case file:
		return "it is for files of this machine"
	case san:
		return refuseSAN(a, m, w.write)
	case hotadd:
		return refuseHotAdd(a, m)
	case nbd:
		if a.Encrypted {
			return "the disk is encrypted, and this transport is not"
		}
	}
	return ""
}

func refuseSAN(a *job.Allows, m Machine, write bool) string {
	switch kind := strings.ToLower(a.DatastoreType); {
	case kind == "nfs", kind == "nfs41", kind == "vsan", kind == "vvol":
		return "the datastore is of type " + a.DatastoreType + ", which has no LUNs"
	case a.Encrypted:
		return "the disk is encrypted"
	case write && a.Thin:
		return "the disk is thin: each block that it grows by would be asked of vCenter"
	case write:
		return "writing over SAN needs a snapshot that exists before, and a restore makes none"
	case len(a.LUNs) > 0 && !intersects(a.LUNs, m.LUNs):
		return "this machine sees none of the datastore's LUNs"
	}
	return ""
}

func refuseHotAdd(a *job.Allows, m Machine) string {
	switch {
	case !m.VM:
		return "this machine is no VM of VMware's"
	case a.Encrypted && !a.Placement:
		return "the disk is encrypted, and whether this VM is cannot be told"
	case !a.Placement && len(a.ProxyVMs) == 0:
		return ""
	case m.BIOSUUID == "":
		return "this VM's BIOS UUID cannot be read: run as root, or set mover.bios_uuid"
	case !slices.ContainsFunc(a.ProxyVMs, func(s string) bool { return strings.EqualFold(s, m.BIOSUUID) }):
		if a.Encrypted {
			return "this machine is no encrypted VM of that vCenter that sees the datastore and has a free SCSI slot, and the disk is encrypted"
		}
		return "this machine is no VM of that vCenter that sees the datastore and has a free SCSI slot"
	}
	return ""
}

func intersects(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool {
		return slices.ContainsFunc(b, func(t string) bool { return strings.EqualFold(s, t) })
	})
}
