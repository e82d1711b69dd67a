package inventory

import (
	"cmp"
	"context"
	"slices"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/shared/ivd"
)

// Tag is one of a vCenter's tags. Its name is unique within its category.
type Tag struct{ Category, Name string }

// tags are those of a disk, in order.
func (v *VCenter) tags(ctx context.Context, id ivd.DiskID) ([]Tag, error) {
	res, err := methods.ListTagsAttachedToVStorageObject(ctx, v.client(), &types.ListTagsAttachedToVStorageObject{This: v.manager(), Id: types.ID{Id: string(id)}})
	if err != nil {
		return nil, failAside(ctx, "list the tags of disk "+string(id), err, "System.Read", "")
	}
	var list []Tag
	for _, e := range res.Returnval {
		list = append(list, Tag{Category: e.ParentCategoryName, Name: e.TagName})
	}
	slices.SortFunc(list, func(a, b Tag) int {
		return cmp.Or(cmp.Compare(a.Category, b.Category), cmp.Compare(a.Name, b.Name))
	})
	return list, nil
}
