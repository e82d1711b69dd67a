package estate

import (
	"crypto/sha1"
	"encoding/hex"

	"github.com/google/uuid"
)

// BIOSUUID is the BIOS UUID of a machine, the same in every laboratory: what a
// proxy that plays this machine is told to be.
func BIOSUUID(machine string) string {
	return uuid.NewSHA1(uuid.NameSpaceDNS, []byte(machine+".laboratory")).String()
}

// InstanceUUID is the UUID by which the vCenter itself knows a machine.
func InstanceUUID(machine string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(machine+".laboratory")).String()
}

// LUN is the canonical name of the SCSI disk that a datastore lies on, the same in
// every laboratory.
func LUN(datastore string) string {
	sum := sha1.Sum([]byte(datastore + ".laboratory"))
	return "naa.6" + hex.EncodeToString(sum[:])[:31]
}
