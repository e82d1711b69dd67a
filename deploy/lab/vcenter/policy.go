package vcenter

import (
	"context"
	"slices"

	"github.com/vmware/govmomi/pbm"
	pbmmethods "github.com/vmware/govmomi/pbm/methods"
	pbmtypes "github.com/vmware/govmomi/pbm/types"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/deploy/lab/estate"
	"ivdmover/shared/ivd"
)

var profileManager = types.ManagedObjectReference{Type: "PbmProfileProfileManager", Value: "ProfileManager"}

// servePolicies answers the storage policy API, below a path of its own. It knows a
// session by the cookie in a request's SOAP header.
func (v *VCenter) servePolicies() {
	r := simulator.NewRegistry()
	r.Namespace, r.Path, r.Cookie = pbm.Namespace, pbm.Path, simulator.SOAPCookie
	r.Put(&policyService{})
	r.Put(&profiles{v: v})
	v.service.RegisterSDK(r)
}

// policyService is where clients of storage policies begin.
type policyService struct{ unlocked }

// Reference names the object to the simulator.
func (*policyService) Reference() types.ManagedObjectReference { return pbm.ServiceInstance }

// PbmRetrieveServiceContent needs no session, as little as vSphere's does.
func (*policyService) PbmRetrieveServiceContent(*pbmtypes.PbmRetrieveServiceContent) soap.HasFault {
	return &pbmmethods.PbmRetrieveServiceContentBody{Res: &pbmtypes.PbmRetrieveServiceContentResponse{
		Returnval: pbmtypes.PbmServiceInstanceContent{
			AboutInfo:                 pbmtypes.PbmAboutInfo{Name: "PBM", Version: "2.0"},
			SessionManager:            types.ManagedObjectReference{Type: "PbmSessionManager", Value: "SessionManager"},
			CapabilityMetadataManager: types.ManagedObjectReference{Type: "PbmCapabilityMetadataManager", Value: "CapabilityMetadataManager"},
			ProfileManager:            profileManager,
			ComplianceManager:         types.ManagedObjectReference{Type: "PbmComplianceManager", Value: "complianceManager"},
			PlacementSolver:           types.ManagedObjectReference{Type: "PbmPlacementSolver", Value: "placementSolver"},
		},
	}}
}

// profiles are the storage policies, and which disk was placed by which.
type profiles struct {
	unlocked
	v *VCenter
}

// Reference names the object to the simulator.
func (*profiles) Reference() types.ManagedObjectReference { return profileManager }

// PbmQueryAssociatedProfile answers with the policy of an IVD, if it has one.
func (p *profiles) PbmQueryAssociatedProfile(req *pbmtypes.PbmQueryAssociatedProfile) soap.HasFault {
	body := new(pbmmethods.PbmQueryAssociatedProfileBody)
	if body.Fault_ = p.v.refused(ViewPolicies); body.Fault_ != nil {
		return body
	}
	ids, err := p.of(req.Entity)
	if err != nil {
		body.Fault_ = soapFault(err)
		return body
	}
	body.Res = &pbmtypes.PbmQueryAssociatedProfileResponse{Returnval: ids}
	return body
}

// of is an object's policy. The laboratory places IVDs by policies, and nothing else.
func (p *profiles) of(object pbmtypes.PbmServerObjectRef) ([]pbmtypes.PbmProfileId, error) {
	if object.ObjectType != string(pbmtypes.PbmObjectTypeVirtualDiskUUID) {
		return nil, ivd.Errorf(ivd.Invalid, "object of type %q", object.ObjectType)
	}
	if object.ServerUuid != "" && object.ServerUuid != p.v.o.Estate.Instance() {
		return nil, ivd.Errorf(ivd.Invalid, "server %q is another vCenter", object.ServerUuid)
	}
	d, err := p.v.o.Estate.Search(ivd.DiskID(object.Key))
	if err != nil {
		return nil, ivd.Errorf(ivd.Invalid, "entity: %w", err)
	}
	if d.Policy == "" {
		return nil, nil
	}
	return []pbmtypes.PbmProfileId{{UniqueId: d.Policy}}, nil
}

// PbmQueryProfile lists all policies.
func (p *profiles) PbmQueryProfile(*pbmtypes.PbmQueryProfile) soap.HasFault {
	body := new(pbmmethods.PbmQueryProfileBody)
	if body.Fault_ = p.v.refused(ViewPolicies); body.Fault_ != nil {
		return body
	}
	body.Res = new(pbmtypes.PbmQueryProfileResponse)
	for _, policy := range estate.Policies() {
		body.Res.Returnval = append(body.Res.Returnval, pbmtypes.PbmProfileId{UniqueId: policy.ID})
	}
	return body
}

// PbmRetrieveContent answers with policies, all of which must be there.
func (p *profiles) PbmRetrieveContent(req *pbmtypes.PbmRetrieveContent) soap.HasFault {
	body := new(pbmmethods.PbmRetrieveContentBody)
	if body.Fault_ = p.v.refused(ViewPolicies); body.Fault_ != nil {
		return body
	}
	body.Res = new(pbmtypes.PbmRetrieveContentResponse)
	for _, id := range req.ProfileIds {
		policy, ok := findPolicy(id.UniqueId)
		if !ok {
			return &pbmmethods.PbmRetrieveContentBody{Fault_: simulator.Fault("", &types.InvalidArgument{InvalidProperty: "profileIds"})}
		}
		body.Res.Returnval = append(body.Res.Returnval, &pbmtypes.PbmCapabilityProfile{
			PbmProfile:      pbmtypes.PbmProfile{ProfileId: id, Name: policy.Name},
			ProfileCategory: string(pbmtypes.PbmProfileCategoryEnumREQUIREMENT),
			ResourceType:    pbmtypes.PbmProfileResourceType{ResourceType: string(pbmtypes.PbmProfileResourceTypeEnumSTORAGE)},
			Constraints:     &pbmtypes.PbmCapabilitySubProfileConstraints{},
		})
	}
	return body
}

func findPolicy(id string) (estate.Policy, bool) {
	all := estate.Policies()
	i := slices.IndexFunc(all, func(p estate.Policy) bool { return p.ID == id })
	if i < 0 {
		return estate.Policy{}, false
	}
	return all[i], true
}

// UpdateVStorageObjectPolicyTask gives a disk another storage policy, or none.
func (m *manager) UpdateVStorageObjectPolicyTask(ctx *simulator.Context, req *types.UpdateVStorageObjectPolicy_Task) soap.HasFault {
	ref := m.onDisk(ctx, "updateVStorageObjectPolicy", faultOf, req.Datastore, func(ctx context.Context, datastore string) (types.AnyType, error) {
		policy, err := policyOf(req.Profile)
		if err != nil {
			return nil, err
		}
		return nil, m.v.o.Estate.Change(ctx, datastore, ivd.DiskID(req.Id.Id), func(d *estate.Disk) { d.Policy = policy })
	})
	return &methods.UpdateVStorageObjectPolicy_TaskBody{Res: &types.UpdateVStorageObjectPolicy_TaskResponse{Returnval: ref}}
}

// policyOf is the policy that a request names, which must be one of the vCenter's;
// empty where it names none.
func policyOf(specs []types.BaseVirtualMachineProfileSpec) (string, error) {
	for _, spec := range specs {
		if s, ok := spec.(*types.VirtualMachineDefinedProfileSpec); ok {
			if _, known := findPolicy(s.ProfileId); !known {
				return "", ivd.Errorf(ivd.Invalid, "no storage policy %q", s.ProfileId)
			}
			return s.ProfileId, nil
		}
	}
	return "", nil
}
