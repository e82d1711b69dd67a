package serve

import (
	"reflect"
	"testing"

	"ivdmover/coordinator/api"
	"ivdmover/shared/format"
)

// All that a point says of its disk is shown; lists are lists where it says nothing.
func TestFactsOfAPoint(t *testing.T) {
	unit := int32(3)
	d := factsOf(format.PointDisk{
		Path: "[a] b.vmdk", Datastore: format.PointDatastore{ID: "datastore-1", Name: "a", Type: "VMFS", URL: "ds:///"},
		Provisioning: "thin", ControllerType: "ParaVirtualSCSIController", BackingUUID: "u",
		Policy: &format.StoragePolicy{ID: "p", Name: "Gold"}, Encryption: &format.Encryption{Provider: "kms", KeyID: "k"},
		Tags:        []format.Tag{{Category: "tier", Name: "gold"}},
		Attachments: []format.Attachment{{VM: "v", Name: "web", Controller: "c 0", Unit: &unit, Mode: "persistent"}},
		Kubernetes: &format.Kubernetes{
			Cluster: "c", Namespace: "n", PVC: "claim", PV: "pv", VolumeHandle: "h",
			Labels: []format.Pair{{Key: "App", Value: "1"}, {Key: "app", Value: "2"}}, PVLabels: []format.Pair{{Key: "zone", Value: "a"}},
		},
		Metadata: []format.Pair{{Key: "x", Value: "y"}},
	})
	want := api.DiskFacts{
		Path: "[a] b.vmdk", DatastoreID: "datastore-1", DatastoreType: "VMFS", DatastoreURL: "ds:///",
		Provisioning: "thin", ControllerType: "ParaVirtualSCSIController", BackingUUID: "u",
		StoragePolicy: &api.StoragePolicy{ID: "p", Name: "Gold"}, Encryption: &api.Encryption{Provider: "kms", KeyID: "k"},
		Tags:        []api.Tag{{Category: "tier", Name: "gold"}},
		Attachments: []api.Attachment{{VM: "v", Name: "web", Controller: "c 0", Unit: &unit, Mode: "persistent"}},
		Kubernetes: &api.Kubernetes{
			Cluster: "c", Namespace: "n", PVC: "claim", PV: "pv", VolumeHandle: "h",
			Labels: map[string]string{"App": "1", "app": "2"}, PVLabels: map[string]string{"zone": "a"},
		},
		Metadata: map[string]string{"x": "y"},
	}
	if !reflect.DeepEqual(d, want) {
		t.Errorf("%+v, want %+v", d, want)
	}
	if d := factsOf(format.PointDisk{}); !reflect.DeepEqual(d, api.DiskFacts{Tags: []api.Tag{}, Attachments: []api.Attachment{}}) {
		t.Errorf("%+v", d)
	}
}
