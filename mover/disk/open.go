package disk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/vddk"
)

// connector opens a disk by one transport.
type connector func(ctx context.Context, p vddk.Params, path string, write bool, mode string) (*Disk, error)

// Open opens a disk by the best transport that the library, the host and the disk
// allow and that has not failed lately; when one cannot, by the next. Where an
// earlier run left the disk's relocation disabled, it is tried once more after
// EndAccess.
func (h *Host) Open(ctx context.Context, s Spec) (*Disk, error) {
	if err := h.canWrite(s); err != nil {
		return nil, err
	}
	h.cleanUp(ctx, s.Disk, s.Login)
	modes, refused := choose(h.modes, h.machine, wanted{write: s.Write, allows: s.Allows})
	if len(modes) == 0 {
		return nil, nothingLeft(s, refused)
	}
	modes, cool := h.paths.order(s.Disk.Ref, modes)
	d, failed, err := h.firstOf(ctx, s, modes)
	if err != nil {
		return nil, classify(withFailed(err, failed))
	}
	for _, f := range failed { // another way was open: it was the path's fault
		h.paths.fail(pathOf(s.Disk.Ref, f.Transport), f.Reason)
		h.log.Warn("a transport failed, another one serves", "disk", s.Disk.Ref.ID(), "datastore", s.Disk.Ref.Datastore(),
			"transport", f.Transport, "why", f.Reason, "instead", d.Transport())
	}
	d.host, d.disk, d.login = h, s.Disk, s.Login
	d.refused = before(h.modes, d.Transport(), slices.Concat(refused, cool, failed))
	return d, nil
}

// Unserved is that no transport may serve a disk, and why each may not.
type Unserved struct{ Refused []job.Refusal }

// Error names each with its reason.
func (u *Unserved) Error() string {
	reasons := make([]string, len(u.Refused))
	for i, r := range u.Refused {
		reasons[i] = r.Transport + ": " + r.Reason
	}
	return "no transport serves: " + strings.Join(reasons, "; ")
}

// nothingLeft is the error of a disk that no transport may serve.
func nothingLeft(s Spec, refused []job.Refusal) error {
	return &ivd.Error{
		Kind: ivd.Unsupported, Op: fmt.Sprintf("open disk %s on %s", s.Disk.Ref.ID(), s.Disk.Ref.Datastore()),
		Err:    &Unserved{refused},
		Remedy: "allow nbdssl in mover.vddk.transports",
	}
}

// before keeps the refusals of what would have been preferred to the one in use.
func before(modes []string, used string, refused []job.Refusal) []job.Refusal {
	place := func(mode string) int { return slices.Index(modes, mode) }
	limit := place(used)
	var list []job.Refusal
	for _, r := range refused {
		if limit < 0 || place(r.Transport) < limit {
			list = append(list, r)
		}
	}
	return list
}

// withFailed says what was tried before the error.
func withFailed(err error, failed []job.Refusal) error {
	for _, f := range slices.Backward(failed) {
		err = fmt.Errorf("%w (%s before: %s)", err, f.Transport, f.Reason)
	}
	return err
}

// firstOf tries one transport after the other, each by itself, so that the reason
// of each is known. When all fail, the last error that says more than "this
// transport cannot" is the one that counts.
func (h *Host) firstOf(ctx context.Context, s Spec, modes []string) (d *Disk, failed []job.Refusal, last error) {
	for i, mode := range modes {
		if err := ctx.Err(); err != nil {
			return nil, failed, err
		}
		d, err := h.openBy(ctx, s, mode)
		if err == nil {
			return d, failed, nil
		}
		if abandoned(err) {
			h.paths.fail(pathOf(s.Disk.Ref, mode), "it did not answer")
		}
		if last == nil || class(err) != vddk.Fallback {
			last = err
		}
		if i == len(modes)-1 || !fallsBack(mode, err) {
			break
		}
		failed = append(failed, job.Refusal{Transport: mode, Reason: err.Error()})
	}
	return nil, failed, last
}

// fallsBack reports whether the next transport is worth a try. San and HotAdd depend
// on more than the others: on devices, slots, rights of their own. What another
// transport would meet as well is not tried again: a wrong password, asked often,
// locks the account.
func fallsBack(mode string, err error) bool {
	if abandoned(err) {
		return false // the library may still hold the disk
	}
	c := class(err)
	if c == vddk.Fallback {
		return true
	}
	if mode != san && mode != hotadd {
		return false
	}
	switch c {
	case vddk.Locked, vddk.Generic, vddk.Transient, vddk.Encrypted:
		return true
	case vddk.Denied:
		return code(err) == 3014 // rights that HotAdd alone needs
	}
	return false
}

// openBy opens by one transport, and once more after EndAccess where that is what
// the error asks for.
func (h *Host) openBy(ctx context.Context, s Spec, mode string) (*Disk, error) {
	open := func() (*Disk, error) {
		return h.connect(ctx, params(s.Disk.Open, s.Snapshot, s.Login), cmp.Or(s.Disk.Open.Path, s.Disk.Open.IVD), s.Write, mode)
	}
	end := func() error { return h.EndAccess(ctx, s.Disk, s.Login, s.Identity) }
	if mode == hotadd {
		return h.attaching(Attachment{s.Run, s.Disk, s.Login.Warrant}, func() (*Disk, error) { return afterEndAccess(open, end) })
	}
	return afterEndAccess(open, end)
}

// afterEndAccess opens once more, after end, where that is what an error asks for.
func afterEndAccess(open func() (*Disk, error), end func() error) (*Disk, error) {
	d, err := open()
	if class(err) != vddk.TransientAfterEndAccess {
		return d, err
	}
	if endErr := end(); endErr != nil {
		return nil, errors.Join(err, endErr)
	}
	return open()
}

// openWith is the connector of the library. A disk that the library opens by another
// transport is closed again.
func (h *Host) openWith(ctx context.Context, p vddk.Params, path string, write bool, mode string) (*Disk, error) {
	call, end := within(ctx, h.limits.open)
	defer end()
	give, err := h.turn.take(call)
	if err != nil {
		return nil, err
	}
	defer give()
	c, err := h.lib.Connect(call, p, !write, mode)
	if err != nil {
		return nil, err
	}
	handle, err := c.Open(call, path, flagsFor(mode, write))
	if err != nil {
		return nil, errors.Join(err, h.disconnect(c))
	}
	d := &Disk{name: p.String(), connection: c, handle: handle, write: write, host: h, rate: newRate()}
	if used := d.Transport(); !serves(mode, used) {
		return nil, errors.Join(&otherTransport{mode, used}, d.Close())
	}
	return d, nil
}

// flagsFor: writes by HotAdd and SAN go around the host's cache, as VMware demands.
func flagsFor(mode string, write bool) vddk.OpenFlags {
	switch {
	case !write:
		return vddk.ReadOnly
	case mode == hotadd || mode == san:
		return vddk.Unbuffered
	}
	return 0
}

// OpenFile opens a local file instead of a disk of a vCenter.
func (h *Host) OpenFile(path string, write bool) (*Disk, error) {
	d, err := h.openWith(context.Background(), vddk.Params{}, path, write, file)
	if err != nil {
		return nil, classify(err)
	}
	d.name = path
	return d, nil
}
