package vcenter

import (
	"slices"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/deploy/lab/estate"
	"ivdmover/shared/ivd"
)

// AttachTagToVStorageObject attaches one of the vCenter's tags to a disk.
func (m *manager) AttachTagToVStorageObject(req *types.AttachTagToVStorageObject) soap.HasFault {
	body := new(methods.AttachTagToVStorageObjectBody)
	if err := m.v.o.Estate.Tag(ivd.DiskID(req.Id.Id), estate.Tag{Category: req.Category, Name: req.Tag}, true); err != nil {
		body.Fault_ = soapFault(err)
		return body
	}
	body.Res = new(types.AttachTagToVStorageObjectResponse)
	return body
}

// DetachTagFromVStorageObject takes a tag from a disk.
func (m *manager) DetachTagFromVStorageObject(req *types.DetachTagFromVStorageObject) soap.HasFault {
	body := new(methods.DetachTagFromVStorageObjectBody)
	if err := m.v.o.Estate.Tag(ivd.DiskID(req.Id.Id), estate.Tag{Category: req.Category, Name: req.Tag}, false); err != nil {
		body.Fault_ = soapFault(err)
		return body
	}
	body.Res = new(types.DetachTagFromVStorageObjectResponse)
	return body
}

// ListTagsAttachedToVStorageObject answers with a disk's tags.
func (m *manager) ListTagsAttachedToVStorageObject(req *types.ListTagsAttachedToVStorageObject) soap.HasFault {
	body := new(methods.ListTagsAttachedToVStorageObjectBody)
	d, err := m.v.o.Estate.Search(ivd.DiskID(req.Id.Id))
	if err != nil {
		body.Fault_ = soapFault(err)
		return body
	}
	body.Res = new(types.ListTagsAttachedToVStorageObjectResponse)
	for _, t := range d.Tags {
		body.Res.Returnval = append(body.Res.Returnval, types.VslmTagEntry{ParentCategoryName: t.Category, TagName: t.Name})
	}
	return body
}

// ListVStorageObjectsAttachedToTag answers with the disks that have a tag.
func (m *manager) ListVStorageObjectsAttachedToTag(req *types.ListVStorageObjectsAttachedToTag) soap.HasFault {
	body := new(methods.ListVStorageObjectsAttachedToTagBody)
	tag := estate.Tag{Category: req.Category, Name: req.Tag}
	if !slices.Contains(estate.Tags(), tag) {
		body.Fault_ = soapFault(ivd.Errorf(ivd.NotFound, "no tag %q in category %q", tag.Name, tag.Category))
		return body
	}
	body.Res = new(types.ListVStorageObjectsAttachedToTagResponse)
	for _, d := range m.v.o.Estate.All() {
		if slices.Contains(d.Tags, tag) {
			body.Res.Returnval = append(body.Res.Returnval, types.ID{Id: string(d.ID)})
		}
	}
	return body
}
