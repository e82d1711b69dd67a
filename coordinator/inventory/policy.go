package inventory

import (
	"context"
	"sync"
	"time"

	"github.com/vmware/govmomi/pbm"
	pbmmethods "github.com/vmware/govmomi/pbm/methods"
	pbmtypes "github.com/vmware/govmomi/pbm/types"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/shared/ivd"
)

// Policy is a storage policy, by which vSphere placed a disk.
type Policy struct{ ID, Name string }

// The privilege with which storage policies can be seen, and the service that knows
// them.
const (
	viewPolicies  = "StorageProfile.View"
	policyService = "vmware-sps"
)

// nameLife is how long the name of a policy is believed.
const nameLife = 10 * time.Minute

// policies asks a vCenter's service of storage policies (PBM).
type policies struct {
	server string // the vCenter's instance UUID
	calls  soap.RoundTripper

	mu      sync.Mutex
	manager *types.ManagedObjectReference // guarded by mu; nil: not asked for yet
	names   map[string]policyName         // guarded by mu; by id
}

type policyName struct {
	name string
	at   time.Time
}

func newPolicies(s *session) *policies {
	e := newEndpoint(s, pbm.Path, pbm.Namespace)
	e.soap.Cookie = s.soap.SessionCookie // this service wants it in the SOAP header
	return &policies{server: s.client.ServiceContent.About.InstanceUuid, calls: e, names: map[string]policyName{}}
}

// of is a disk's policy; nil: it has none. An error with a policy: its name is not
// known.
func (p *policies) of(ctx context.Context, id ivd.DiskID) (*Policy, error) {
	op := "ask for the storage policy of disk " + string(id)
	manager, err := p.find(ctx)
	if err != nil {
		return nil, failAside(ctx, op, err, viewPolicies, policyService)
	}
	res, err := pbmmethods.PbmQueryAssociatedProfile(ctx, p.calls, &pbmtypes.PbmQueryAssociatedProfile{
		This: manager,
		// An IVD is known to this service by its own id, attached or not.
		Entity: pbmtypes.PbmServerObjectRef{ObjectType: string(pbmtypes.PbmObjectTypeVirtualDiskUUID), Key: string(id), ServerUuid: p.server},
	})
	if err != nil {
		return nil, failAside(ctx, op, err, viewPolicies, policyService)
	}
	if len(res.Returnval) == 0 {
		return nil, nil
	}
	found := Policy{ID: res.Returnval[0].UniqueId}
	if found.Name, err = p.name(ctx, manager, found.ID); err != nil {
		return &found, failAside(ctx, "ask for the name of storage policy "+found.ID, err, viewPolicies, policyService)
	}
	return &found, nil
}

// find asks once what the service calls its manager of policies.
func (p *policies) find(ctx context.Context) (types.ManagedObjectReference, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.manager == nil {
		res, err := pbmmethods.PbmRetrieveServiceContent(ctx, p.calls, &pbmtypes.PbmRetrieveServiceContent{This: pbm.ServiceInstance})
		if err != nil {
			return types.ManagedObjectReference{}, err
		}
		p.manager = &res.Returnval.ProfileManager
	}
	return *p.manager, nil
}

// name is what a policy is called. It is asked again now and then: a policy may be
// renamed.
func (p *policies) name(ctx context.Context, manager types.ManagedObjectReference, id string) (string, error) {
	p.mu.Lock()
	known := p.names[id]
	p.mu.Unlock()
	if known.name != "" && time.Since(known.at) < nameLife {
		return known.name, nil
	}
	res, err := pbmmethods.PbmRetrieveContent(ctx, p.calls, &pbmtypes.PbmRetrieveContent{This: manager, ProfileIds: []pbmtypes.PbmProfileId{{UniqueId: id}}})
	if err != nil {
		return "", err
	}
	if len(res.Returnval) == 0 {
		return "", ivd.Errorf(ivd.NotFound, "no such storage policy")
	}
	name := res.Returnval[0].GetPbmProfile().Name
	p.mu.Lock()
	p.names[id] = policyName{name, time.Now()}
	p.mu.Unlock()
	return name, nil
}
