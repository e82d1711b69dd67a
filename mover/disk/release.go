package disk

import (
	"context"
	"slices"

	"ivdmover/shared/job"
)

// Left are the disks that this machine has hot-added and not released: before
// anything is opened those of a process that died, after everything is closed those
// that could not be.
func (h *Host) Left() []Attachment { return h.left.all() }

// Release has the library release what was left of a vCenter, with the login for one
// of the disks, and reports whether that is done. While a disk is attached it is not.
func (h *Host) Release(ctx context.Context, a Attachment, l job.Login) bool {
	h.cleanUp(ctx, a.Disk, l)
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.hotAdds() || h.cleaned[l.Server]
}

// GiveUp forgets a disk for which there is no login any more: nobody waits for it.
// Cleanup is called with the next login all the same.
func (h *Host) GiveUp(a Attachment) { h.noted(h.left.remove(a)) }

// noted says what could not be remembered: it is no reason to move nothing.
func (h *Host) noted(err error) {
	if err != nil {
		h.log.Warn("a disk may stay attached to this machine longer if this process dies", "err", err)
	}
}

// hotAdds reports whether this host ever attaches anything.
func (h *Host) hotAdds() bool { return h.machine.VM && slices.Contains(h.modes, hotadd) }

// attaching opens by HotAdd: not while Cleanup looks for what is left, and never
// unremembered.
func (h *Host) attaching(a Attachment, open func() (*Disk, error)) (*Disk, error) {
	h.devices.RLock()
	defer h.devices.RUnlock()
	h.noted(h.left.add(a))
	d, err := open()
	if err != nil {
		if !abandoned(err) { // the library may have it still
			h.noted(h.left.remove(a))
		}
		return nil, err
	}
	h.mu.Lock()
	h.hotadds++
	h.mu.Unlock()
	d.attached = &a
	return d, nil
}

// detached is what comes after a disk by HotAdd was closed. One that was not released
// keeps its snapshot: while others are attached, or a call hangs, the library is not
// asked to look.
func (d *Disk) detached(err error) {
	h := d.host
	h.mu.Lock()
	h.hotadds--
	last := h.hotadds == 0
	h.mu.Unlock()
	switch {
	case err == nil:
		h.noted(h.left.remove(*d.attached))
	case last && !abandoned(err) && h.devices.TryLock():
		defer h.devices.Unlock()
		h.cleanNow(context.Background(), d.disk, d.login)
	case last && !abandoned(err): // another is being attached: with the next disk
		h.mu.Lock()
		delete(h.cleaned, d.login.Server)
		h.mu.Unlock()
	}
}

// cleanUp has the library remove what a process of this host left behind when it
// died: disks that are still attached to this VM keep their snapshots, and its slots.
// It is done with the first login for a vCenter, before anything is opened there, and
// only on a host that hot-adds: nothing else leaves anything.
func (h *Host) cleanUp(ctx context.Context, d job.Disk, l job.Login) {
	if !h.hotAdds() || !h.dirty(l.Server) {
		return
	}
	h.cleaning.Lock()
	defer h.cleaning.Unlock()
	if !h.dirty(l.Server) || !h.devices.TryLock() { // nobody waits for a disk that is being attached: that may hang
		return
	}
	defer h.devices.Unlock()
	if h.cleanNow(ctx, d, l) { // else with the next disk again
		h.mu.Lock()
		h.cleaned[l.Server] = true
		h.mu.Unlock()
	}
}

// dirty reports whether Cleanup is due: not while a disk is attached.
func (h *Host) dirty(server string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.cleaned[server] && h.hotadds == 0
}

// cleanNow names a disk although it is about all that was left: what an IVD's
// parameters look like without one, VMware does not say.
func (h *Host) cleanNow(ctx context.Context, d job.Disk, l job.Login) bool {
	if h.needs("", "", "Cleanup") != nil {
		return h.cannotClean(d)
	}
	call, end := within(ctx, h.limits.cleanup)
	defer end()
	cleaned, remaining, err := h.lib.Cleanup(call, params(d.Open, "", l))
	switch {
	case err != nil:
		h.log.Warn("releasing what is still attached to this machine failed", "vcenter", l.Server, "err", err)
	case cleaned > 0 || remaining > 0:
		h.log.Warn("disks were still attached to this machine", "vcenter", l.Server, "released", cleaned, "remaining", remaining)
	}
	if err == nil && remaining == 0 {
		h.noted(h.left.forget(d.Ref.Source()))
	}
	return err == nil
}

// cannotClean says once what a library without Cleanup leaves attached.
func (h *Host) cannotClean(d job.Disk) bool {
	for _, a := range h.left.all() {
		if a.Disk.Ref.Source() == d.Ref.Source() {
			h.log.Warn("a disk may still be attached to this machine and keep its snapshot: detach it by hand, this VDDK has no VixDiskLib_Cleanup",
				"disk", a.Disk.Ref.ID(), "datastore", a.Disk.Ref.Datastore())
		}
	}
	h.noted(h.left.forget(d.Ref.Source()))
	return true
}
