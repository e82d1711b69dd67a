package job

import "ivdmover/shared/ivd"

// Disk is a disk as it travels to movers: which one it is, and what it is opened
// by. Two are equal (==) when both are.
type Disk struct {
	Ref  ivd.DiskRef `json:"ref"`
	Open Location    `json:"open"`
}

// Location is what libvixDiskLib opens a disk by, in vSphere's words: an IVD by its
// id and its datastore, a VM's own disk by the VM and the path of its file. The
// inventory makes it, a mover opens it, and nobody between them looks into it.
type Location struct {
	IVD       string `json:"ivd,omitempty"`       // its id
	Datastore string `json:"datastore,omitempty"` // of an IVD: its managed object id, "datastore-52"

	VM   string `json:"vm,omitempty"`   // the VM's managed object id, "vm-12"
	Path string `json:"path,omitempty"` // of the VM's disk: "[datastore1] web/web.vmdk"
}

// IVD is an IVD as it is opened.
func IVD(ref ivd.DiskRef) Disk {
	return Disk{Ref: ref, Open: Location{IVD: string(ref.ID()), Datastore: string(ref.Datastore())}}
}
