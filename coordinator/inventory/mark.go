package inventory

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/shared/ivd"
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

// WorkingPrefix begins the name that a disk has while a restore makes it.
const WorkingPrefix = "ivdmover-restore-"

// workingName is such a name: the run's id, and the beginning of the item's.
var workingName = regexp.MustCompile("^" + WorkingPrefix + `(\d{8}t\d{6}z-[0-9a-f]{8})-.{1,8}$`)

// unfinishedBy is the restore that makes a disk, or has left it half-written; empty for
// one of the estate. Such a disk has a working name and, where vSphere keeps marks, marks: one that
// somebody has named so is the estate's, and so is one that has a name of its own by now.
func (v *VCenter) unfinishedBy(d Disk) ivd.RunID {
	m := workingName.FindStringSubmatch(d.Name)
	if m == nil || v.KeepsMarks() && !d.Marked() {
		return ""
	}
	return ivd.RunID(m[1])
}

// Estate refuses a disk that is not the estate's, since a restore makes it.
func (d Disk) Estate() error {
	if d.Unfinished == "" {
		return nil
	}
	return &ivd.Error{
		Kind: ivd.Unmet, Err: fmt.Errorf("disk %s is what restore %s makes, or has left", d.Ref.ID(), d.Unfinished),
		Remedy: "look at `ivd run show " + string(d.Unfinished) + "`: the disk gets its name when that is done",
	}
}
