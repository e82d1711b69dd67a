package inventory

import (
	"context"
	"fmt"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/shared/ivd"
)

// Placement is what vSphere alone knows of a disk that bears on how a mover can read
// or write it.
type Placement struct {
	DatastoreType string   // as Datastore.Type
	LUNs          []string // as Datastore.LUNs
	Encrypted     bool
	Thin          bool
	Proxies       []string // of the BIOS UUIDs asked about: machines here that see the datastore and have a free SCSI slot
}

// Placement asks for the facts about a disk, and which of the machines with these
// BIOS UUIDs it can be hot-added to: an encrypted disk to encrypted machines only.
func (v *VCenter) Placement(ctx context.Context, ref ivd.DiskRef, uuids []string) (Placement, error) {
	op := fmt.Sprintf("ask where disk %s on %s can be reached from", ref.ID(), ref.Datastore())
	var ds mo.Datastore
	if err := property.DefaultCollector(v.client()).RetrieveOne(ctx, datastoreRef(ref.Datastore()), []string{"summary", "info"}, &ds); err != nil {
		return Placement{}, fail(ctx, op, err)
	}
	disk, err := v.retrieveOne(ctx, Datastore{ID: ref.Datastore(), Name: ds.Summary.Name}, types.ID{Id: string(ref.ID())})
	if err != nil {
		return Placement{}, fmt.Errorf("%s: %w", op, err)
	}
	p := Placement{DatastoreType: ds.Summary.Type, LUNs: luns(ds.Info), Encrypted: disk.Encrypted, Thin: disk.Thin}
	machines, err := v.Proxies(ctx, uuids)
	if err != nil {
		return Placement{}, fmt.Errorf("%s: %w", op, err)
	}
	for _, m := range machines {
		if m.FreeSlots > 0 && m.Sees(ref.Datastore()) && (m.Encrypted || !p.Encrypted) {
			p.Proxies = append(p.Proxies, m.BIOSUUID)
		}
	}
	return p, nil
}
