package inventory

import (
	"context"
	"fmt"
	"strings"

	"github.com/vmware/govmomi/vim25/types"
)

// markPrefix begins the keys under which this program keeps something with a disk,
// in the metadata that vSphere has of it. What has them is told apart from all other
// metadata, so that no point and no list shows it.
const markPrefix = "ivdmover."

// marksSince is the first version of the API in which a disk's metadata is set as it
// is made, read with the disk, and removed by key, on a vCenter and on a standalone
// ESXi host alike: BaseConfigInfo.metadata, (VCenter|Host)UpdateVStorageObjectMetadataEx_Task.
const marksSince = "7.0.2.0"

// Mark is one of this program's pairs of a disk's metadata.
type Mark struct{ Key, Value string }

// NewMark is a mark; the name is the part of its key that tells it from others.
func NewMark(name, value string) Mark { return Mark{Key: markPrefix + name, Value: value} }

// Carries reports whether the disk has all of the marks.
func (d Disk) Carries(marks ...Mark) bool {
	for _, m := range marks {
		if value, ok := d.marks[m.Key]; !ok || value != m.Value {
			return false
		}
	}
	return true
}

// Marked reports whether the disk has any mark.
func (d Disk) Marked() bool { return len(d.marks) > 0 }

// KeepsMarks reports whether this vCenter, or host, keeps marks with a disk. Where
// it does not, none are sent, none are shown, and there is nothing to remove.
func (v *VCenter) KeepsMarks() bool {
	return atLeast(v.client().ServiceContent.About.ApiVersion, marksSince)
}

// atLeast compares versions of the API, "8.0.2.0". What is no version is an old one.
func atLeast(version, least string) bool {
	var have, want [4]int
	_, _ = fmt.Sscanf(version, "%d.%d.%d.%d", &have[0], &have[1], &have[2], &have[3]) // fewer parts: the others are 0
	_, _ = fmt.Sscanf(least, "%d.%d.%d.%d", &want[0], &want[1], &want[2], &want[3])
	for i := range want {
		if have[i] != want[i] {
			return have[i] > want[i]
		}
	}
	return true
}

// pairs are the marks as a new disk gets them.
func (v *VCenter) pairs(marks []Mark) []types.KeyValue {
	if !v.KeepsMarks() {
		return nil
	}
	var list []types.KeyValue
	for _, m := range marks {
		list = append(list, types.KeyValue{Key: m.Key, Value: m.Value})
	}
	return list
}

// keep sorts a pair of a disk's metadata.
func (d *Disk) keep(kv types.KeyValue) {
	to := &d.Metadata
	if strings.HasPrefix(kv.Key, markPrefix) {
		to = &d.marks
	}
	if *to == nil {
		*to = map[string]string{}
	}
	(*to)[kv.Key] = kv.Value
}

// Unmark removes the marks of a disk; other metadata stays. The disk is as it was
// told of last.
func (v *VCenter) Unmark(ctx context.Context, d Disk) error {
	var keys []string
	for key := range d.marks {
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil
	}
	op := fmt.Sprintf("remove the marks of disk %s on %s", d.Ref.ID(), d.Ref.Datastore())
	_, err := v.do(ctx, op, taskTimeout, func(ctx context.Context) (types.ManagedObjectReference, error) {
		return v.beginRemoveMetadata(ctx, d.Ref, keys)
	})
	return err
}
