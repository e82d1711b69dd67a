package vcenter

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/vmware/govmomi/vim25/types"
	vslmtypes "github.com/vmware/govmomi/vslm/types"

	"ivdmover/deploy/lab/estate"
	"ivdmover/shared/ivd"
)

// fits reports whether a disk matches every part of a query of the global catalogue.
func (g *global) fits(d estate.Disk, o types.VStorageObject, query []vslmtypes.VslmVsoVStorageObjectQuerySpec) (bool, error) {
	for _, q := range query {
		if len(q.QueryValue) != 1 {
			return false, ivd.Errorf(ivd.Invalid, "a query of %s by %d values: want one", q.QueryField, len(q.QueryValue))
		}
		one, err := g.fitsOne(d, o, q)
		if err != nil || !one {
			return false, err
		}
	}
	return true, nil
}

func (g *global) fitsOne(d estate.Disk, o types.VStorageObject, q vslmtypes.VslmVsoVStorageObjectQuerySpec) (bool, error) {
	var fields []string
	switch vslmtypes.VslmVsoVStorageObjectQuerySpecQueryFieldEnum(q.QueryField) {
	case vslmtypes.VslmVsoVStorageObjectQuerySpecQueryFieldEnumId:
		fields = []string{o.Config.Id.Id}
	case vslmtypes.VslmVsoVStorageObjectQuerySpecQueryFieldEnumName:
		fields = []string{o.Config.Name}
	case vslmtypes.VslmVsoVStorageObjectQuerySpecQueryFieldEnumDatastoreMoId:
		fields = []string{g.m.v.datastores[d.Datastore].Value}
	case vslmtypes.VslmVsoVStorageObjectQuerySpecQueryFieldEnumMetadataKey:
		for key := range d.Metadata {
			fields = append(fields, key)
		}
	case vslmtypes.VslmVsoVStorageObjectQuerySpecQueryFieldEnumMetadataValue:
		for _, value := range d.Metadata {
			fields = append(fields, value)
		}
	case vslmtypes.VslmVsoVStorageObjectQuerySpecQueryFieldEnumCapacity:
		want, err := strconv.ParseInt(q.QueryValue[0], 10, 64)
		if err != nil {
			return false, ivd.Errorf(ivd.Invalid, "a capacity of %q", q.QueryValue[0])
		}
		return compared(cmp.Compare(o.Config.CapacityInMB, want), q.QueryOperator)
	default:
		return false, ivd.Errorf(ivd.Invalid, "the laboratory does not query %q", q.QueryField)
	}
	for _, field := range fields {
		if is, err := matched(field, q.QueryValue[0], q.QueryOperator); is || err != nil {
			return is, err
		}
	}
	return false, nil
}

func matched(field, value, operator string) (bool, error) {
	switch vslmtypes.VslmVsoVStorageObjectQuerySpecQueryOperatorEnum(operator) {
	case vslmtypes.VslmVsoVStorageObjectQuerySpecQueryOperatorEnumContains:
		return strings.Contains(field, value), nil
	case vslmtypes.VslmVsoVStorageObjectQuerySpecQueryOperatorEnumStartsWith:
		return strings.HasPrefix(field, value), nil
	case vslmtypes.VslmVsoVStorageObjectQuerySpecQueryOperatorEnumEndsWith:
		return strings.HasSuffix(field, value), nil
	}
	return compared(cmp.Compare(field, value), operator)
}

func compared(order int, operator string) (bool, error) {
	switch vslmtypes.VslmVsoVStorageObjectQuerySpecQueryOperatorEnum(operator) {
	case vslmtypes.VslmVsoVStorageObjectQuerySpecQueryOperatorEnumEquals:
		return order == 0, nil
	case vslmtypes.VslmVsoVStorageObjectQuerySpecQueryOperatorEnumNotEquals:
		return order != 0, nil
	case vslmtypes.VslmVsoVStorageObjectQuerySpecQueryOperatorEnumLessThan:
		return order < 0, nil
	case vslmtypes.VslmVsoVStorageObjectQuerySpecQueryOperatorEnumLessThanOrEqual:
		return order <= 0, nil
	case vslmtypes.VslmVsoVStorageObjectQuerySpecQueryOperatorEnumGreaterThan:
		return order > 0, nil
	case vslmtypes.VslmVsoVStorageObjectQuerySpecQueryOperatorEnumGreaterThanOrEqual:
		return order >= 0, nil
	}
	return false, ivd.Errorf(ivd.Invalid, "operator %q", operator)
}
