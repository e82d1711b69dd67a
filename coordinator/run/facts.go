package run

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"ivdmover/coordinator/inventory"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// noAccess is the note of a disk whose relocation was not disabled: on a host alone
// there is nothing that could be relocated, and VDDK's call fails.
const noAccess = "no access preparation on an ESXi host alone"

// aloneNote adds to a disk's note what is not done on an ESXi host alone.
func (t *task) aloneNote(note string) string {
	if !t.vc.Alone() || strings.HasSuffix(note, noAccess) { // noted before a restart
		return note
	}
	return noted(note, noAccess)
}

// allows is what of the disk bears on the transports of the movers there are when
// its jobs are made.
func (t *task) allows(ctx context.Context) *job.Allows {
	movers, err := t.s.Queue.Movers(ctx)
	if err != nil {
		t.log.Warn("ask which movers there are", "err", err)
		return nil
	}
	return allows(ctx, t.log, t.vc, t.rec.Ref, movers)
}

// allows asks vCenter what of a disk bears on the transports it can be moved by,
// and which of the movers it can be hot-added to. Where there is no answer, movers
// try what their libraries offer.
func allows(ctx context.Context, log *slog.Logger, vc *inventory.VCenter, ref ivd.DiskRef, movers []job.Mover) *job.Allows {
	var uuids []string
	for _, m := range movers {
		if m.BIOSUUID != "" && !slices.Contains(uuids, m.BIOSUUID) {
			uuids = append(uuids, m.BIOSUUID)
		}
	}
	p, err := vc.Placement(ctx, ref, uuids)
	if err != nil {
		log.Warn("what the disk can be reached by is not known", "err", err)
		return nil
	}
	return &job.Allows{
		DatastoreType: p.DatastoreType, Encrypted: p.Encrypted, Thin: p.Thin,
		Placement: true, ProxyVMs: p.Proxies, LUNs: p.LUNs,
	}
}
