package disk

import (
	"context"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/vddk"
)

// PrepareAccess is VixDiskLib_PrepareForAccess: no VM that the disk is attached to
// is relocated until EndAccess. EndAccess must follow whatever it returns, but for kind
// Unsupported of a library that has neither.
func (h *Host) PrepareAccess(ctx context.Context, d job.Disk, login job.Login, identity string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := h.canAccess(); err != nil {
		return err
	}
	call, end := within(ctx, h.limits.access)
	defer end()
	return classify(h.lib.PrepareForAccess(call, params(d.Open, "", login), orIdentity(identity)))
}

// EndAccess is VixDiskLib_EndAccess. To repeat it is harmless.
func (h *Host) EndAccess(ctx context.Context, d job.Disk, login job.Login, identity string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := h.canAccess(); err != nil {
		return err
	}
	call, end := within(ctx, h.limits.access)
	defer end()
	return classify(h.lib.EndAccess(call, params(d.Open, "", login), orIdentity(identity)))
}

func orIdentity(s string) string {
	if s == "" {
		return Identity
	}
	return s
}

// params are the library's for a disk of a vCenter or an ESXi host. The secrets leave
// their type here and nowhere else.
func params(at job.Location, snapshot ivd.SnapshotID, l job.Login) vddk.Params {
	p := vddk.Params{
		Server:     l.Server,
		Port:       uint32(l.Port),
		NFCPort:    uint32(l.NFCPort),
		Thumbprint: l.Thumbprint,
		User:       l.User,
		Password:   l.Password.Reveal(),
		Cookie:     l.Cookie.Reveal(),
	}
	if at.VM != "" {
		p.VM, p.VMSnapshot = "moref="+at.VM, string(snapshot)
		return p
	}
	p.Disk = &vddk.DiskSpec{ID: at.IVD, Datastore: at.Datastore, Snapshot: string(snapshot)}
	return p
}
