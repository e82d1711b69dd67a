package owner

import (
	"context"
	"fmt"

	"github.com/vmware/govmomi/cns"
	cnstypes "github.com/vmware/govmomi/cns/types"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/shared/ivd"
)

// Tag attaches one of the vCenter's tags to a disk.
func (o *Owner) Tag(ctx context.Context, ref ivd.DiskRef, category, name string) error {
	_, err := methods.AttachTagToVStorageObject(ctx, o.client, &types.AttachTagToVStorageObject{
		This: *o.client.ServiceContent.VStorageObjectManager, Id: types.ID{Id: string(ref.ID())}, Category: category, Tag: name,
	})
	if err != nil {
		return fmt.Errorf("attach tag %s of %s to disk %s: %w", name, category, ref.ID(), err)
	}
	return nil
}

// SetPolicy gives a disk a storage policy, by the policy's id.
func (o *Owner) SetPolicy(ctx context.Context, ref ivd.DiskRef, policy string) error {
	res, err := methods.UpdateVStorageObjectPolicy_Task(ctx, o.client, &types.UpdateVStorageObjectPolicy_Task{
		This: *o.client.ServiceContent.VStorageObjectManager, Id: types.ID{Id: string(ref.ID())}, Datastore: datastore(ref.Datastore()),
		Profile: []types.BaseVirtualMachineProfileSpec{&types.VirtualMachineDefinedProfileSpec{ProfileId: policy}},
	})
	if err != nil {
		return fmt.Errorf("set the storage policy of disk %s: %w", ref.ID(), err)
	}
	return wait(ctx, object.NewTask(o.client.Client, res.Returnval), nil, "set the storage policy of", ref)
}

// Volume is what a cluster of containers calls a disk.
type Volume struct {
	Cluster, Namespace, Claim, Name string
	ClaimLabels, Labels             map[string]string
}

// Bind makes a disk the volume of a cluster, as its container storage does.
func (o *Owner) Bind(ctx context.Context, ref ivd.DiskRef, v Volume) error {
	c, err := cns.NewClient(ctx, o.client.Client)
	if err != nil {
		return fmt.Errorf("bind disk %s: %w", ref.ID(), err)
	}
	cluster := cnstypes.CnsContainerCluster{ClusterType: string(cnstypes.CnsClusterTypeKubernetes), ClusterId: v.Cluster, VSphereUser: "csi@vsphere.local"}
	task, err := c.CreateVolume(ctx, []cnstypes.CnsVolumeCreateSpec{{
		Name: v.Name, VolumeType: string(cnstypes.CnsVolumeTypeBlock),
		BackingObjectDetails: &cnstypes.CnsBlockBackingDetails{BackingDiskId: string(ref.ID())},
		Metadata: cnstypes.CnsVolumeMetadata{
			ContainerCluster: cluster,
			EntityMetadata: []cnstypes.BaseCnsEntityMetadata{
				entity(cnstypes.CnsKubernetesEntityTypePV, v.Name, "", v.Labels),
				entity(cnstypes.CnsKubernetesEntityTypePVC, v.Claim, v.Namespace, v.ClaimLabels),
			},
		},
	}})
	return wait(ctx, task, err, "bind", ref)
}

func entity(kind cnstypes.CnsKubernetesEntityType, name, namespace string, labels map[string]string) *cnstypes.CnsKubernetesEntityMetadata {
	e := &cnstypes.CnsKubernetesEntityMetadata{CnsEntityMetadata: cnstypes.CnsEntityMetadata{EntityName: name}, EntityType: string(kind), Namespace: namespace}
	for key, value := range labels {
		e.Labels = append(e.Labels, types.KeyValue{Key: key, Value: value})
	}
	return e
}
