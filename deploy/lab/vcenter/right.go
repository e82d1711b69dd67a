package vcenter

import (
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/simulator/vpx"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// Privileges that the user may lack. All others the user has.
const (
	ViewPolicies = "StorageProfile.View"
	SearchCNS    = "Cns.Searchable"
)

// Services that a vCenter may be without.
const (
	PolicyService    = "vmware-sps"
	ContainerService = "vsan-health"
)

// refused is NoPermission where the user lacks a privilege on the vCenter, else nil.
func (v *VCenter) refused(privilege string) *soap.Fault {
	if !slices.Contains(v.o.Lacks, privilege) {
		return nil
	}
	root := vpx.RootFolder.Reference()
	return simulator.Fault("Permission to perform this operation was denied.", &types.NoPermission{
		Object: &root, PrivilegeId: privilege,
		MissingPrivileges: []types.NoPermissionEntityPrivileges{{Entity: root, PrivilegeIds: []string{privilege}}},
	})
}

// serves reports whether the vCenter has a service. A standalone host has none.
func (v *VCenter) serves(service string) bool {
	return !v.o.ESX && !slices.Contains(v.o.Without, service)
}
