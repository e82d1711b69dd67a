package inventory

import (
	"cmp"
	"context"
	"strings"
	"sync"

	"github.com/vmware/govmomi/cns"
	cnsmethods "github.com/vmware/govmomi/cns/methods"
	cnstypes "github.com/vmware/govmomi/cns/types"
	"github.com/vmware/govmomi/vim25/soap"

	"ivdmover/shared/ivd"
)

// Volume is a disk as the Kubernetes cluster knows it whose volume it is.
type Volume struct {
	Cluster          string
	Namespace, Claim string
	Name             string            // of the persistent volume
	ClaimLabels      map[string]string // of the claim
	Labels           map[string]string // of the persistent volume
}

// The keys under which container storage (CNS) keeps a volume's names with its disk.
// Labels it keeps to itself.
const (
	cnsPrefix    = "cns."
	cnsCluster   = "cns.containerCluster.clusterId"
	cnsNamespace = "cns.k8s.pvc.namespace"
	cnsClaim     = "cns.k8s.pvc.name"
	cnsVolume    = "cns.k8s.pv.name"
)

// ownPrefix begins the keys of what ivdmover itself keeps with a disk.
const ownPrefix = "ivdmover."

// volumeOf takes what container storage says out of a disk's metadata, and leaves out
// what is our own. Nil: the disk is no volume.
func volumeOf(metadata map[string]string) (v *Volume, rest map[string]string) {
	for key, value := range metadata {
		if strings.HasPrefix(key, cnsPrefix) && v == nil {
			v = &Volume{Cluster: metadata[cnsCluster], Namespace: metadata[cnsNamespace], Claim: metadata[cnsClaim], Name: metadata[cnsVolume]}
		}
		switch {
		case key == cnsCluster, key == cnsNamespace, key == cnsClaim, key == cnsVolume, strings.HasPrefix(key, ownPrefix):
		default:
			if rest == nil {
				rest = map[string]string{}
			}
			rest[key] = value
		}
	}
	return v, rest
}

// tell adds what container storage says of the volume: labels, and names that are
// not known yet.
func (v *Volume) tell(m cnstypes.CnsVolumeMetadata) {
	v.Cluster = cmp.Or(v.Cluster, m.ContainerCluster.ClusterId)
	if e := v.entity(m, cnstypes.CnsKubernetesEntityTypePV, v.Name, ""); e != nil {
		v.Name, v.Labels = e.EntityName, labels(e)
	}
	if e := v.entity(m, cnstypes.CnsKubernetesEntityTypePVC, v.Claim, v.Namespace); e != nil {
		v.Namespace, v.Claim, v.ClaimLabels = e.Namespace, e.EntityName, labels(e)
	}
}

// entity is the one of a kind that is called so, or the only one of that kind. A
// volume of a guest cluster has those of the supervisor as well.
func (v *Volume) entity(m cnstypes.CnsVolumeMetadata, kind cnstypes.CnsKubernetesEntityType, name, namespace string) *cnstypes.CnsKubernetesEntityMetadata {
	var found *cnstypes.CnsKubernetesEntityMetadata
	for _, x := range m.EntityMetadata {
		e, ok := x.(*cnstypes.CnsKubernetesEntityMetadata)
		switch {
		case !ok, e.EntityType != string(kind):
		case name != "" && e.EntityName != name, namespace != "" && e.Namespace != namespace:
		case e.ClusterID != "" && e.ClusterID != v.Cluster:
		case found != nil:
			return nil // which one is meant cannot be told
		default:
			found = e
		}
	}
	return found
}

func labels(e *cnstypes.CnsKubernetesEntityMetadata) map[string]string {
	all := map[string]string{}
	for _, l := range e.Labels {
		all[l.Key] = l.Value
	}
	return all
}

// The privilege with which volumes of containers can be seen, and the service that
// knows them.
const (
	searchContainers = "Cns.Searchable"
	containerService = "vsan-health"
)

// containers asks a vCenter's container storage (CNS).
type containers struct {
	calls   soap.RoundTripper
	version func(context.Context) error // has the calls speak the vCenter's version

	mu    sync.Mutex
	ready bool // guarded by mu: the version is known
}

func newContainers(s *session) *containers {
	e := newEndpoint(s, cns.Path, cns.Namespace)
	return &containers{calls: e, version: func(ctx context.Context) (err error) {
		e.soap.Version, err = e.version(ctx, cns.Namespace)
		return err
	}}
}

// tell asks what container storage keeps of a disk's volume.
func (c *containers) tell(ctx context.Context, id ivd.DiskID, v *Volume) error {
	op := "ask for the labels of container volume " + string(id)
	if err := c.begin(ctx); err != nil {
		return failAside(ctx, op, err, searchContainers, containerService)
	}
	res, err := cnsmethods.CnsQueryVolume(ctx, c.calls, &cnstypes.CnsQueryVolume{
		This: cns.CnsVolumeManagerInstance, Filter: &cnstypes.CnsQueryFilter{VolumeIds: []cnstypes.CnsVolumeId{{Id: string(id)}}},
	})
	if err != nil {
		return failAside(ctx, op, err, searchContainers, containerService)
	}
	for _, x := range res.Returnval.Volumes {
		if x.VolumeId.Id == string(id) {
			v.tell(x.Metadata)
		}
	}
	return nil
}

func (c *containers) begin(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ready {
		return nil
	}
	if err := c.version(ctx); err != nil {
		return err
	}
	c.ready = true
	return nil
}
