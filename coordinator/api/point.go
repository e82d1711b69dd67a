package api

import (
	"time"

	"ivdmover/shared/ivd"
)

// PointDetail is a restore point with all that it says of its disk. What vSphere did
// not tell is absent.
type PointDetail struct {
	Point
	Product  string       `json:"product,omitempty"` // what the source said that it is, with its version and build
	Was      DiskFacts    `json:"was"`               // the disk when its snapshot was made
	Snapshot SnapshotFact `json:"snapshot"`
	Tracking Tracking     `json:"tracking"`
	Lost     []ivd.Extent `json:"lost,omitempty"` // ranges of the disk that cannot be read any more, as far as that is known
}

// DiskFacts is a disk in vSphere's words.
type DiskFacts struct {
	Created        time.Time         `json:"created,omitzero"`
	Path           string            `json:"path,omitempty"`
	DatastoreID    ivd.DatastoreID   `json:"datastore_id"`
	DatastoreType  string            `json:"datastore_type,omitempty"`
	DatastoreURL   string            `json:"datastore_url,omitempty"`
	Provisioning   string            `json:"provisioning,omitempty"`
	ControllerType string            `json:"controller_type,omitempty"`
	BackingUUID    string            `json:"backing_uuid,omitempty"`
	StoragePolicy  *StoragePolicy    `json:"storage_policy,omitempty"`
	Encryption     *Encryption       `json:"encryption,omitempty"`
	Tags           []Tag             `json:"tags"`
	Attachments    []Attachment      `json:"attachments"`
	Kubernetes     *Kubernetes       `json:"kubernetes,omitempty"` // of a container volume
	Metadata       map[string]string `json:"metadata,omitempty"`
}

// StoragePolicy is that by which vSphere placed the disk.
type StoragePolicy struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// Encryption names the key with which vSphere encrypted the disk.
type Encryption struct {
	Provider string `json:"provider,omitempty"`
	KeyID    string `json:"key_id"`
}

// Tag is one of vSphere's.
type Tag struct {
	Category string `json:"category"`
	Name     string `json:"name"`
}

// Attachment is a virtual machine that the disk was attached to.
type Attachment struct {
	VM         string `json:"vm,omitempty"` // its instance UUID
	Name       string `json:"name,omitempty"`
	Controller string `json:"controller,omitempty"`
	Unit       *int32 `json:"unit,omitempty"`
	Mode       string `json:"mode,omitempty"`
}

// Kubernetes is what a cluster called its volume.
type Kubernetes struct {
	Cluster      string            `json:"cluster,omitempty"`
	Namespace    string            `json:"namespace,omitempty"`
	PVC          string            `json:"pvc,omitempty"`
	PV           string            `json:"pv,omitempty"`
	VolumeHandle string            `json:"volume_handle,omitempty"`
	Labels       map[string]string `json:"labels,omitempty"`    // of the claim
	PVLabels     map[string]string `json:"pv_labels,omitempty"` // of the volume
}

// SnapshotFact is what was read from.
type SnapshotFact struct {
	ID      ivd.SnapshotID `json:"id,omitempty"`
	Created time.Time      `json:"created,omitzero"`
}

// Tracking is what changed block tracking was, and why the disk was read as it was.
type Tracking struct {
	CBT      string       `json:"cbt"` // on, off, unused
	ChangeID ivd.ChangeID `json:"change_id,omitempty"`
	Since    ivd.ChangeID `json:"since,omitempty"` // the parent's
	Why      string       `json:"why,omitempty"`
}
