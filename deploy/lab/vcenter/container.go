package vcenter

import (
	"context"
	"maps"
	"slices"

	"github.com/vmware/govmomi/cns"
	cnsmethods "github.com/vmware/govmomi/cns/methods"
	cnstypes "github.com/vmware/govmomi/cns/types"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/deploy/lab/estate"
	"ivdmover/shared/ivd"
)

// serveContainers answers container storage's API (CNS), below a path of its own. It
// knows a session by the cookie in HTTP's header.
func (v *VCenter) serveContainers() {
	r := simulator.NewRegistry()
	r.Namespace, r.Path = cns.Namespace, cns.Path
	r.Put(&volumes{v: v})
	v.service.RegisterSDK(r)
	v.service.ServeMux.HandleFunc(v.reg.Path+"/vsanServiceVersions.xml", v.service.ServiceVersionsVsan)
}

// volumes are the disks that containers use.
type volumes struct {
	unlocked
	v *VCenter
}

// Reference names the object to the simulator.
func (*volumes) Reference() types.ManagedObjectReference { return cns.CnsVolumeManagerInstance }

// CnsCreateVolume makes a disk that is there a container's volume.
func (c *volumes) CnsCreateVolume(ctx *simulator.Context, req *cnstypes.CnsCreateVolume) soap.HasFault {
	ref := c.v.task(ctx.For(vim25.Path), "createVolume", faultOf, func(ctx context.Context) (types.AnyType, error) {
		if len(req.CreateSpecs) != 1 {
			return nil, ivd.Errorf(ivd.Invalid, "%d volumes at once", len(req.CreateSpecs))
		}
		spec := req.CreateSpecs[0]
		backing, ok := spec.BackingObjectDetails.(*cnstypes.CnsBlockBackingDetails)
		if !ok || backing.BackingDiskId == "" {
			return nil, ivd.Errorf(ivd.Unsupported, "a volume that is no disk yet")
		}
		d, err := c.v.o.Estate.Search(ivd.DiskID(backing.BackingDiskId))
		if err != nil {
			return nil, ivd.Errorf(ivd.Invalid, "backing disk: %w", err)
		}
		volume := volumeOf(spec.Metadata)
		if err := c.v.o.Estate.Change(ctx, d.Datastore, d.ID, func(d *estate.Disk) { d.Bind(volume) }); err != nil {
			return nil, err
		}
		return &cnstypes.CnsVolumeOperationBatchResult{VolumeResults: []cnstypes.BaseCnsVolumeOperationResult{
			&cnstypes.CnsVolumeCreateResult{CnsVolumeOperationResult: cnstypes.CnsVolumeOperationResult{VolumeId: cnstypes.CnsVolumeId{Id: string(d.ID)}}, Name: d.Name},
		}}, nil
	})
	return &cnsmethods.CnsCreateVolumeBody{Res: &cnstypes.CnsCreateVolumeResponse{Returnval: ref}}
}

func volumeOf(m cnstypes.CnsVolumeMetadata) estate.Volume {
	v := estate.Volume{Cluster: m.ContainerCluster.ClusterId}
	for _, x := range m.EntityMetadata {
		k, ok := x.(*cnstypes.CnsKubernetesEntityMetadata)
		if !ok {
			continue
		}
		e := estate.Entity{Type: k.EntityType, Name: k.EntityName, Namespace: k.Namespace, Labels: map[string]string{}}
		for _, l := range k.Labels {
			e.Labels[l.Key] = l.Value
		}
		v.Entities = append(v.Entities, e)
	}
	return v
}

// CnsQueryVolume answers with the volumes that a filter names by their ids, or with
// all. What is no volume is left out.
func (c *volumes) CnsQueryVolume(req *cnstypes.CnsQueryVolume) soap.HasFault {
	body := new(cnsmethods.CnsQueryVolumeBody)
	if body.Fault_ = c.v.refused(SearchCNS); body.Fault_ != nil {
		return body
	}
	body.Res = new(cnstypes.CnsQueryVolumeResponse)
	wanted := req.Filter.GetCnsQueryFilter().VolumeIds
	for _, d := range c.v.o.Estate.All() {
		if d.Volume == nil || len(wanted) > 0 && !slices.Contains(wanted, cnstypes.CnsVolumeId{Id: string(d.ID)}) {
			continue
		}
		body.Res.Returnval.Volumes = append(body.Res.Returnval.Volumes, c.show(d))
	}
	return body
}

func (c *volumes) show(d estate.Disk) cnstypes.CnsVolume {
	cluster := cnstypes.CnsContainerCluster{ClusterType: string(cnstypes.CnsClusterTypeKubernetes), ClusterId: d.Volume.Cluster}
	v := cnstypes.CnsVolume{
		VolumeId: cnstypes.CnsVolumeId{Id: string(d.ID)}, Name: d.Name, VolumeType: string(cnstypes.CnsVolumeTypeBlock), StoragePolicyId: d.Policy,
		Metadata:             cnstypes.CnsVolumeMetadata{ContainerCluster: cluster, ContainerClusterArray: []cnstypes.CnsContainerCluster{cluster}},
		BackingObjectDetails: &cnstypes.CnsBlockBackingDetails{BackingDiskId: string(d.ID), BackingDiskPath: filePath(d)},
	}
	for _, e := range d.Volume.Entities {
		k := &cnstypes.CnsKubernetesEntityMetadata{
			CnsEntityMetadata: cnstypes.CnsEntityMetadata{EntityName: e.Name, ClusterID: d.Volume.Cluster},
			EntityType:        e.Type, Namespace: e.Namespace,
		}
		for _, key := range slices.Sorted(maps.Keys(e.Labels)) {
			k.Labels = append(k.Labels, types.KeyValue{Key: key, Value: e.Labels[key]})
		}
		v.Metadata.EntityMetadata = append(v.Metadata.EntityMetadata, k)
	}
	return v
}
