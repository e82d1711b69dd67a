package format

import (
	"time"

	"ivdmover/shared/ivd"
)

// PointDisk is the disk as it was when its snapshot was made, in vSphere's words.
type PointDisk struct {
	Kind           ivd.DiskKind   `json:"kind"`
	ID             ivd.DiskID     `json:"id"`
	Name           string         `json:"name"`
	Created        time.Time      `json:"created,omitzero"`
	Path           string         `json:"path,omitempty"` // "[datastore] fcd/….vmdk"
	Datastore      PointDatastore `json:"datastore"`
	Provisioning   string         `json:"provisioning,omitempty"` // "thin", "lazyZeroedThick", "eagerZeroedThick"
	ControllerType string         `json:"controller_type,omitempty"`
	BackingUUID    string         `json:"backing_uuid,omitempty"`
	Policy         *StoragePolicy `json:"storage_policy,omitempty"`
	Encryption     *Encryption    `json:"encryption,omitempty"` // by vSphere
	Tags           []Tag          `json:"tags,omitempty"`
	Attachments    []Attachment   `json:"attachments,omitempty"`
	Kubernetes     *Kubernetes    `json:"kubernetes,omitempty"`
	Metadata       []Pair         `json:"metadata,omitempty"` // what else vSphere keeps with it
}

// PointDatastore is where the disk lay.
type PointDatastore struct {
	ID   ivd.DatastoreID `json:"id"`
	Name string          `json:"name,omitempty"`
	Type string          `json:"type,omitempty"` // "VMFS", "NFS", "vsan", …
	URL  string          `json:"url,omitempty"`
}

// StoragePolicy is vSphere's, by which the disk was placed.
type StoragePolicy struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// Encryption names the key with which vSphere encrypts the disk.
type Encryption struct {
	Provider string `json:"provider,omitempty"`
	KeyID    string `json:"key_id"`
}

// Tag is vSphere's: its name is one of a category's, and may be another's too.
type Tag struct {
	Category string `json:"category"`
	Name     string `json:"name"`
}

// Attachment is a virtual machine that the disk was attached to.
type Attachment struct {
	VM         string `json:"vm,omitempty"` // its instance UUID
	Name       string `json:"name,omitempty"`
	Controller string `json:"controller,omitempty"` // its type, and its number among those of that type: "ParaVirtualSCSIController 0"
	Unit       *int32 `json:"unit,omitempty"`
	Mode       string `json:"mode,omitempty"` // "persistent", "independent_persistent", …
}

// Kubernetes is what a container's storage says of its volume.
type Kubernetes struct {
	Cluster      string `json:"cluster,omitempty"`
	Namespace    string `json:"namespace,omitempty"`
	PVC          string `json:"pvc,omitempty"`
	PV           string `json:"pv,omitempty"`
	VolumeHandle string `json:"volume_handle,omitempty"`
	Labels       []Pair `json:"labels,omitempty"`    // of the claim
	PVLabels     []Pair `json:"pv_labels,omitempty"` // of the volume
}

// Pair is a key with its value. Keys are somebody else's: they may differ in case
// only, as keys of an object may not.
type Pair struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// PointVM is the virtual machine whose own disk it is, and what is needed to make
// it anew.
type PointVM struct {
	ID            string      `json:"id"` // its instance UUID
	Name          string      `json:"name"`
	DeviceKey     int32       `json:"device_key"`
	Configuration *Descriptor `json:"configuration,omitempty"`
}

// Descriptor is a virtual machine's configuration, stored as a chunk.
type Descriptor struct {
	Type  string        `json:"type"` // "vmx" or "ovf"
	ID    ivd.ContentID `json:"id"`
	Place ivd.Place     `json:"place"`
}
