package inventory

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/shared/ivd"
)

// Proxy is a virtual machine of this vCenter that disks may be hot-added to.
type Proxy struct {
	BIOSUUID   string // as it was asked for
	VM         VM
	FreeSlots  int               // of all its SCSI controllers
	Datastores []ivd.DatastoreID // those that its host sees
	Encrypted  bool              // the machine is: it may be given encrypted disks
}

// Sees reports whether its host sees a datastore.
func (p Proxy) Sees(ds ivd.DatastoreID) bool { return slices.Contains(p.Datastores, ds) }

const (
	slotsPerController = 15          // VDDK's limit for HotAdd
	proxyLife          = time.Minute // how long an answer is relied on
)

// proxies remembers what was asked, also of those that are no machines here.
type proxies struct {
	mu    sync.Mutex
	known map[string]knownProxy
	life  time.Duration
}

type knownProxy struct {
	proxy *Proxy // nil: no machine here
	asked time.Time
}

// Proxies tells which of the machines with these BIOS UUIDs are virtual machines of
// this vCenter. One that is none, or whose UUID several machines have, is left out.
// An answer may be a minute old.
func (v *VCenter) Proxies(ctx context.Context, uuids []string) ([]Proxy, error) {
	c := &v.proxies
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for id, k := range c.known {
		if now.Sub(k.asked) >= c.life {
			delete(c.known, id)
		}
	}
	var found []Proxy
	for _, id := range uuids {
		k, fresh := c.known[id]
		if !fresh {
			p, err := v.proxy(ctx, id)
			if err != nil {
				return nil, fail(ctx, "look for the virtual machine with BIOS UUID "+id, err)
			}
			k = knownProxy{p, now}
			c.known[id] = k
		}
		if k.proxy != nil {
			found = append(found, *k.proxy)
		}
	}
	return found, nil
}

// proxy is the one machine with a BIOS UUID, or nil.
func (v *VCenter) proxy(ctx context.Context, id string) (*Proxy, error) {
	var refs []types.ManagedObjectReference
	for _, spelling := range spellings(id) {
		res, err := methods.FindAllByUuid(ctx, v.client(), &types.FindAllByUuid{
			This: *v.client().ServiceContent.SearchIndex, Uuid: spelling, VmSearch: true,
		})
		if err != nil {
			return nil, err
		}
		refs = append(refs, res.Returnval...)
	}
	if len(refs) != 1 {
		if len(refs) > 1 {
			v.log.Warn("several virtual machines have the BIOS UUID of a mover: nothing is hot-added to it", "uuid", id, "machines", len(refs))
		}
		return nil, nil
	}
	pc := property.DefaultCollector(v.client())
	var vm mo.VirtualMachine
	if err := pc.RetrieveOne(ctx, refs[0], []string{"name", "config.hardware.device", "config.keyId", "runtime.host"}, &vm); err != nil {
		return nil, err
	}
	p := &Proxy{BIOSUUID: id, VM: VM{ID: vm.Self.Value, Name: vm.Name}}
	if vm.Config != nil {
		p.FreeSlots, p.Encrypted = freeSlots(vm.Config.Hardware.Device), vm.Config.KeyId != nil
	}
	if vm.Runtime.Host == nil {
		return p, nil
	}
	var host mo.HostSystem
	if err := pc.RetrieveOne(ctx, *vm.Runtime.Host, []string{"datastore"}, &host); err != nil {
		return nil, err
	}
	for _, ds := range host.Datastore {
		p.Datastores = append(p.Datastores, ivd.DatastoreID(ds.Value))
	}
	return p, nil
}

// spellings are the ways in which vSphere may know a BIOS UUID that a guest has read
// from its firmware: by the SMBIOS version, a guest sees the first three groups with
// their bytes turned round. None of what is no UUID.
func spellings(id string) []string {
	u, err := uuid.Parse(strings.TrimSpace(id))
	if err != nil {
		return nil
	}
	turned := u
	for _, group := range [][]byte{turned[0:4], turned[4:6], turned[6:8]} {
		slices.Reverse(group)
	}
	if turned == u {
		return []string{u.String()}
	}
	return []string{u.String(), turned.String()}
}

func freeSlots(devices []types.BaseVirtualDevice) int {
	used := map[int32]int{} // by controller
	for _, d := range devices {
		used[d.GetVirtualDevice().ControllerKey]++
	}
	free := 0
	for _, d := range devices {
		if c, ok := d.(types.BaseVirtualSCSIController); ok {
			free += max(0, slotsPerController-used[c.GetVirtualSCSIController().Key])
		}
	}
	return free
}
