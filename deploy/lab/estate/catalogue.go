package estate

import (
	"maps"
	"slices"

	"ivdmover/shared/ivd"
)

// Tag is one of the vCenter's: a name within a category.
type Tag struct {
	Category string `json:"category"`
	Name     string `json:"name"`
}

// Policy is a storage policy of the vCenter.
type Policy struct{ ID, Name string }

// Tags are those that the vCenter has, the same in every laboratory.
func Tags() []Tag {
	return []Tag{{"tier", "gold"}, {"tier", "silver"}, {"owner", "finance"}, {"owner", "gold"}}
}

// Policies are those that the vCenter has, the same in every laboratory.
func Policies() []Policy {
	return []Policy{
		{"0b7f2f7c-5d0c-4a5e-9c54-0d1d6f1e6a01", "Laboratory Gold"},
		{"0b7f2f7c-5d0c-4a5e-9c54-0d1d6f1e6a02", "Laboratory Silver"},
	}
}

// Volume is what container storage keeps of a disk that is a volume of a cluster.
type Volume struct {
	Cluster  string   `json:"cluster"`
	Entities []Entity `json:"entities"`
}

// The types of entities that name a volume.
const (
	KubernetesVolume = "PERSISTENT_VOLUME"
	KubernetesClaim  = "PERSISTENT_VOLUME_CLAIM"
)

// Entity is something of a Kubernetes cluster that a volume belongs to.
type Entity struct {
	Type      string            `json:"type"` // KubernetesVolume, KubernetesClaim, or another
	Name      string            `json:"name"`
	Namespace string            `json:"namespace,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
}

// Bind makes a disk a volume. Container storage writes its names into the disk's
// own metadata too, and its labels nowhere else.
func (d *Disk) Bind(v Volume) {
	d.Volume = &v
	metadata := map[string]string{}
	maps.Copy(metadata, d.Metadata)
	metadata["cns.containerCluster.clusterId"], metadata["cns.containerCluster.clusterType"] = v.Cluster, "KUBERNETES"
	for _, e := range v.Entities {
		switch e.Type {
		case KubernetesVolume:
			metadata["cns.k8s.pv.name"] = e.Name
		case KubernetesClaim:
			metadata["cns.k8s.pvc.name"], metadata["cns.k8s.pvc.namespace"] = e.Name, e.Namespace
		}
	}
	d.Metadata = metadata
}

// Tag attaches a tag to a disk, or detaches it; kind NotFound: there is no such tag,
// or no such disk.
func (e *Estate) Tag(id ivd.DiskID, tag Tag, on bool) error {
	if !slices.Contains(Tags(), tag) {
		return ivd.Errorf(ivd.NotFound, "no tag %q in category %q", tag.Name, tag.Category)
	}
	return e.update(func(s *state) error {
		d := s.Disks[id]
		if d == nil {
			return noDisk("any datastore", id)
		}
		others := slices.DeleteFunc(slices.Clone(d.Tags), func(t Tag) bool { return t == tag })
		if on {
			others = append(others, tag)
		}
		d.Tags = others
		return nil
	})
}
