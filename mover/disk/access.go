package disk

import (
	"context"
	"slices"

	"ivdmover/shared/ivd"
	"ivdmover/shared/queue"
	"ivdmover/vddk"
)

// PrepareAccess is VixDiskLib_PrepareForAccess: no VM that the disk is attached to
// is relocated until EndAccess. EndAccess must follow whatever it returns.
func (h *Host) PrepareAccess(ctx context.Context, ref ivd.DiskRef, login queue.Login, identity string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	call, end := within(ctx, h.limits.access)
	defer end()
	return classify(h.lib.PrepareForAccessContext(call, params(ref, "", login), orIdentity(identity)))
}

// EndAccess is VixDiskLib_EndAccess. To repeat it is harmless.
func (h *Host) EndAccess(ctx context.Context, ref ivd.DiskRef, login queue.Login, identity string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	call, end := within(ctx, h.limits.access)
	defer end()
	return classify(h.lib.EndAccessContext(call, params(ref, "", login), orIdentity(identity)))
}

func orIdentity(s string) string {
	if s == "" {
		return Identity
	}
	return s
}

// params are the library's for a disk of a vCenter. The secrets leave their type
// here and nowhere else.
func params(ref ivd.DiskRef, snapshot ivd.SnapshotID, l queue.Login) vddk.Params {
	return vddk.Params{
		Server:     l.Server,
		Port:       uint32(l.Port),
		NFCPort:    uint32(l.NFCPort),
		Thumbprint: l.Thumbprint,
		User:       l.User,
		Password:   l.Password.Reveal(),
		Cookie:     l.Cookie.Reveal(),
		Disk:       &vddk.DiskSpec{ID: string(ref.Disk), Datastore: string(ref.Datastore), Snapshot: string(snapshot)},
	}
}

// cleanUp has the library remove what a process of this host left behind when it
// died: disks that are still attached to this VM keep their snapshots. It is done
// with the first login for a vCenter, before anything is opened there, and only
// where HotAdd is allowed: nothing else leaves anything.
func (h *Host) cleanUp(ctx context.Context, ref ivd.DiskRef, l queue.Login, modes []string) {
	if !slices.Contains(modes, hotadd) {
		return
	}
	h.mu.Lock()
	first := !h.cleaned[l.Server] && h.hotadds == 0
	if first {
		h.cleaned[l.Server] = true
	}
	h.mu.Unlock()
	if first && !h.cleanNow(ctx, ref, l) {
		h.mu.Lock()
		h.cleaned[l.Server] = false // with the next disk again
		h.mu.Unlock()
	}
}

// cleanNow names a disk although it is about all that was left: what an IVD's
// parameters look like without one, VMware does not say.
func (h *Host) cleanNow(ctx context.Context, ref ivd.DiskRef, l queue.Login) bool {
	call, end := within(ctx, h.limits.cleanup)
	defer end()
	cleaned, remaining, err := h.lib.CleanupContext(call, params(ref, "", l))
	switch {
	case err != nil:
		h.log.Warn("clean up after an earlier process", "vcenter", l.Server, "err", err)
	case cleaned > 0 || remaining > 0:
		h.log.Warn("disks of an earlier process were still attached", "vcenter", l.Server, "released", cleaned, "remaining", remaining)
	}
	return err == nil
}
