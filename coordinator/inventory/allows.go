package inventory

import (
	"context"
	"slices"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// Allows asks what of a disk bears on the transports it can be moved by, and which
// of the movers it can be hot-added to. Where there is no answer it returns nil,
// and movers try what their libraries offer.
func (v *VCenter) Allows(ctx context.Context, ref ivd.DiskRef, movers []job.Mover) *job.Allows {
	var uuids []string
	for _, m := range movers {
		if m.BIOSUUID != "" && !slices.Contains(uuids, m.BIOSUUID) {
			uuids = append(uuids, m.BIOSUUID)
		}
	}
	p, err := v.Placement(ctx, ref, uuids)
	if err != nil {
		v.log.Warn("what the disk can be reached by is not known", "disk", ref.ID(), "err", err)
		return nil
	}
	return &job.Allows{
		DatastoreType: p.DatastoreType, Encrypted: p.Encrypted, Thin: p.Thin,
		Placement: true, ProxyVMs: p.Proxies, LUNs: p.LUNs,
	}
}

// LoginFor is a login for a disk, with what bears on the transports for the mover
// that asks: it may have come after the disk's jobs were made, and its VM's slots
// may have been taken since. A mover without a name is not known.
func (v *VCenter) LoginFor(ctx context.Context, ref ivd.DiskRef, m job.Mover) (job.Login, error) {
	l, err := v.Login(ctx)
	if err != nil {
		return job.Login{}, err
	}
	if m.Name != "" {
		l.Allows = v.Allows(ctx, ref, []job.Mover{m})
	}
	return l, nil
}
