package cli_test

import (
	"errors"
	"time"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/api/apitest"
	"ivdmover/coordinator/catalogue"
	"ivdmover/coordinator/plan"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

const (
	diskA  = ivd.DiskID("0b7c9d4e-1111-4222-8333-444455556666")
	diskB  = ivd.DiskID("5f0e1d2c-7777-4888-9999-aaaabbbbcccc")
	runA   = ivd.RunID("20261124t231500z-1f0c2a9b")
	runB   = ivd.RunID("20261125t010000z-2e1d3c4b")
	source = "dbed6e0c-bd88-4ef6-b594-21283e1c677f"
	domain = "7d1f6a52-0000-4000-8000-00000000d0a1"
	folder = ivd.PointID(domain + "/" + source + "/")
	pointA = folder + ivd.PointID(diskA) + "/20261124T231502Z-20261124t231500z-1f0c2a9b"
	pointB = folder + ivd.PointID(diskA) + "/20261123T231502Z-20261123t231500z-00c0ffee"
	pointC = folder + ivd.PointID(diskB) + "/20261124T231502Z-20261124t231500z-1f0c2a9b"
)

var evening = time.Date(2026, 11, 24, 23, 15, 0, 0, time.UTC)

// estate is what the commands are shown.
func estate() *apitest.Rooms {
	last, parent, unit := pointA, pointB, int32(3)
	rooms := &apitest.Rooms{
		DiskList: []api.Disk{
			{ID: diskA, Name: "data-01", Datastore: "nvme-1", DatastoreID: "datastore-52", VCenter: "lab", Capacity: 40 << 30, AttachedTo: []string{"web-1", "web-2"}, CBT: true, Created: evening, LastPoint: &last, LastPointTime: evening.Add(2 * time.Second)},
			{ID: diskB, Name: "größe", Datastore: "nfs", DatastoreID: "datastore-53", VCenter: "lab", Capacity: 1<<30 + 512},
		},
		SnapshotList: []api.Snapshot{{ID: "snap-1", Disk: diskA, Name: "data-01", VCenter: "lab", Datastore: "nvme-1", Description: "ivdmover run " + string(runA) + " of 5f0e1d2c-7777-4888-9999-aaaabbbbcccc.0b7c9d4e", Run: runA, Ours: true, Created: evening, AgeSeconds: 4000}},
		PointList: []api.Point{
			{ID: pointB, ShortID: catalogue.Short(pointB), Source: source, Disk: diskA, Name: "data-01", VCenter: "lab", Datastore: "nvme-1", Time: evening.Add(-24 * time.Hour), Run: "20261123t231500z-00c0ffee", Mode: plan.Allocated, Capacity: 40 << 30, ChunkSize: 256 << 10, ReadBytes: 12 << 30, StoredBytes: 5 << 30},
			{ID: pointA, ShortID: catalogue.Short(pointA), Source: source, SealedAt: evening.Add(time.Hour), Consistency: "crash", Policy: "nightly", Disk: diskA, Name: "data-01", VCenter: "lab", Datastore: "nvme-1", Time: evening, Run: runA, Mode: plan.Changed, Capacity: 40 << 30, ChunkSize: 256 << 10, ReadBytes: 155 << 20, StoredBytes: 115 << 20, Parent: &parent},
			{ID: pointC, ShortID: catalogue.Short(pointC), Source: source, Disk: diskB, Time: evening, Failure: &ivd.Failure{Kind: ivd.Corrupt, Message: "the record's sum differs"}},
		},
		Details: map[ivd.PointID]api.PointDetail{pointA: {
			Product: "VMware vCenter Server 8.0.3 build-24022515",
			Was: api.DiskFacts{
				Created: evening.Add(-100 * time.Hour), Path: "[nvme-1] fcd/data-01.vmdk", DatastoreID: "datastore-52", DatastoreType: "VMFS", Provisioning: "thin",
				StoragePolicy: &api.StoragePolicy{ID: "aa6d5a82-1c88-45da-85d3-3d74b91a5bad", Name: "Gold"}, Encryption: &api.Encryption{Provider: "kms", KeyID: "k-1"},
				Tags:        []api.Tag{{Category: "owner", Name: "finance"}, {Category: "tier", Name: "gold"}},
				Attachments: []api.Attachment{{VM: "5029aaaa", Name: "web-1", Controller: "ParaVirtualSCSIController 0", Unit: &unit, Mode: "persistent"}, {Name: "web-2"}},
				Kubernetes:  &api.Kubernetes{Cluster: "prod", Namespace: "shop", PVC: "data-0", PV: "pvc-1", Labels: map[string]string{"tier": "db", "app": "shop"}, PVLabels: map[string]string{"zone": "a"}},
				Metadata:    map[string]string{"cns.tag": "1"},
			},
			Tracking: api.Tracking{CBT: "on", Why: "a test"},
		}},
		MoverList: []job.Mover{
			{Name: "proxy-1", Host: "proxy-1.example.net", Handles: 4, Free: 3, VDDK: "9.0.0.0", Modes: []string{"san", "nbdssl"}, Started: evening, Active: []job.Active{
				{Run: runA, Disk: diskB, Name: "größe", Job: "j1", Kind: job.Backup, Transport: "nbdssl", Stats: ivd.Stats{ReadBytes: 3 << 20, StoredBytes: 1 << 20}},
			}, BIOSUUID: "ebd37b03-85d1-5fc8-87fd-caa9f30831ad", LUNs: []string{"naa.6d03b2123c830f903b89d5ad0b24f529"}, Paths: []job.Path{
				{Source: "lab", Datastore: "datastore-52", Transport: "nbdssl", ReadRate: 120 << 20, WriteRate: 90 << 20},
				{Source: "lab", Datastore: "datastore-99", Transport: "san", CoolUntil: evening.Add(2 * time.Minute), Reason: "14009: the server refused\nthe connection"},
			}},
			{Name: "proxy-2", Host: "proxy-2.example.net", Handles: 4, Free: 4, Draining: true, VDDK: "9.0.0.0", Modes: []string{"nbdssl"}, Started: evening},
		},
		Info: api.Repository{ID: "9d7c3f6e-0000-4111-8222-333344445555", URL: "s3://backups/estate-1", FormatVersion: 1, PackSize: 16 << 20, Hash: "blake3-256", Cipher: "none", Domain: ivd.DomainID{0x7d, 0x1f}, Generation: 3, Incarnation: "51a0c0de-0000-4000-8000-000000000001", Requests: []api.Requests{{Kind: "put", Requests: 1200, Bytes: 3 << 30}, {Kind: "head", Requests: 70000, Errors: 2}}},
		Next: backup(api.Running),
	}
	return rooms
}

// backup is a run of two disks; when it has ended, by its state.
func backup(state api.State) api.RunDetail {
	a := api.RunDisk{Key: string(diskA), ID: diskA, VCenter: "lab", DatastoreID: "datastore-52", Name: "data-01", Step: api.Moving, Mode: "changed", Started: evening, Capacity: 40 << 30, ChunkSize: 256 << 10, Movers: []string{"proxy-1"}}
	a.Retries, a.Retried = 2, "14009: the server refused the connection"
	a.Transports, a.Note = []string{"nbdssl"}, "no access preparation on a standalone ESXi host"
	a.Refused = []job.Refusal{{Transport: "san", Reason: "this machine sees none of the datastore's LUNs"}}
	a.Stats = ivd.Stats{DiskBytes: 10 << 30, ReadBytes: 155 << 20, ZeroBytes: 5 << 20, DedupBytes: 20 << 20, NewBytes: 130 << 20, StoredBytes: 115 << 20, Packs: 9}
	b := api.RunDisk{Key: string(diskB), ID: diskB, VCenter: "lab", DatastoreID: "datastore-53", Name: "größe", Datastore: "nfs", Step: api.Waiting}
	v := api.RunDetail{Run: api.Run{ID: runA, Kind: job.Backup, Policy: "nightly", State: state, Created: evening}, Disks: []api.RunDisk{a, b}}
	for i := range v.Disks {
		d := &v.Disks[i]
		if state.Ended() {
			v.Ended = evening.Add(65 * time.Second)
			d.Step, d.Result, d.Started, d.Ended, d.Movers = api.Ended, api.Done, evening, v.Ended, nil
		}
		v.Stats.Add(d.Stats)
	}
	no := ivd.FailureOf(&ivd.Error{Kind: ivd.Full, Op: "snapshot disk größe on datastore-53", Err: errors.New("no space\nleft"), Remedy: "free some space on nfs"})
	if state == api.Partial || state == api.Failed {
		v.Disks[1].Result, v.Disks[1].Failure = api.Failed, no
	}
	if state == api.Failed {
		v.Disks[0].Result, v.Disks[0].Failure = api.Failed, no
	}
	return v
}

// restore is a run that brought a disk back.
func restore() api.RunDetail {
	d := api.RunDisk{Key: string(diskB), ID: diskB, VCenter: "lab", DatastoreID: "datastore-52", Name: "data-01", Step: api.Ended, Result: api.Done, Started: evening, Ended: evening.Add(9 * time.Minute), From: pointA, Target: "data-yesterday", Capacity: 40 << 30}
	d.Stats.WrittenBytes = 12 << 30
	v := api.RunDetail{Run: api.Run{ID: runB, Kind: job.Restore, State: api.Done, Created: evening, Ended: d.Ended}, Disks: []api.RunDisk{d}}
	v.Stats.Add(d.Stats)
	return v
}
