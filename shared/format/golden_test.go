package format_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// Golden files are made once for each version of the format, and stay: what was
// written once must be read for ever.
var update = flag.Bool("update", false, "write the golden files of the present version anew")

var goldenGeometry = ivd.Geometry{Capacity: 2*ivd.ChunksPerSpan*ivd.DefaultChunkSize + 777, ChunkSize: ivd.DefaultChunkSize}

const goldenRun, goldenLease = ivd.RunID("20261124t230000z-1f0c2a9b"), ivd.LeaseID("0b0f7c5e-3f0a-4d92-8a54-7d1be6a1c001")

var goldenTime = time.Date(2026, 11, 24, 23, 0, 0, 0, time.UTC)

// golden is everything that the golden files hold.
type golden struct {
	chunks      [][]byte
	data        *format.Pack
	node        *format.Node
	page        *format.Page
	index       *format.Pack
	point       format.Point
	lease       format.Lease
	writer      format.Writer
	condemned   format.Condemned
	retired     format.PackList
	verified    format.PackList
	run         format.Run
	hooks       format.Hooks
	restored    format.Restored
	waits       format.Waits
	done        format.Done
	packs       format.StoredPacks
	signed      format.Signed
	verdict     format.StoreVerdict
	forgotten   format.Forgotten
	pin         format.Pin
	hold        format.Hold
	quarantined format.Quarantined
}

func makeGolden(t *testing.T) golden {
	t.Helper()
	must := func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	g := golden{
		chunks: [][]byte{content(1, 4096, true), content(2, 70_000, false), content(3, 777, false)},
		data:   format.NewPack(header(format.DataPack, 1), nil),
		node:   format.NewNode(goldenGeometry, 1),
		page:   format.NewPage(goldenGeometry, 0),
		index:  format.NewPack(header(format.IndexPack, 4), nil),
	}
	places := make([]ivd.Place, len(g.chunks))
	for i, c := range g.chunks {
		places[i] = add(g.data, format.ChunkFrame, c, 3)
	}
	_, data := g.data.Finish()
	for i := range places {
		places[i].PackRef = data
	}
	g.node.Set(0, format.Sum(g.chunks[0]), places[0])
	g.node.Set(255, format.Sum(g.chunks[1]), places[1])
	last := format.NewNode(goldenGeometry, 2)
	last.Set(0, format.Sum(g.chunks[2]), places[2])
	for _, n := range []*format.Node{g.node, last} {
		plain := must(n.Encode())
		at := add(g.index, format.NodeFrame, plain, 3)
		at.PackRef = format.OwnPack
		g.page.SetNode(ivd.NodeRef{Span: n.Span, ID: format.Sum(plain), Place: at}, n.Packs)
	}
	plain := must(g.page.Encode())
	page := add(g.index, format.PageFrame, plain, 3)
	_, page.PackRef = g.index.Finish()
	g.records(data.Pack, []ivd.PageRef{{Page: 0, ID: format.Sum(plain), Place: page}})
	return g
}

// head is what a record begins with that is called so.
func head(object string) format.Head {
	return format.Head{Repository: repository, Domain: domain, Object: object, Program: "ivd v1.0.0"}
}

func at(object string) format.At {
	return format.At{Repository: repository, Domain: domain, Object: object}
}

// The names of the golden records, beside those that their ids make.
const (
	goldenDisk   = ivd.DiskID("6000c298-1111-4222-8333-444455556666")
	goldenSource = ivd.SourceID("dbed6e0c-bd88-4ef6-b594-21283e1c677f")
)

var (
	goldenPoint  = ivd.NewPointID(domain, goldenSource, goldenDisk, goldenTime, goldenRun)
	writerObject = "writers/" + domain.String() + "/" + writer.String()
	listObject   = "collect/" + domain.String() + "/3c1d/condemned"
	waitsObject  = "collect/" + domain.String() + "/3c1d/waits"
	doneObject   = "collect/" + domain.String() + "/3c1d/done"
	markObject   = "retired/" + domain.String() + "/8f00"
	proofObject  = "verified/" + domain.String() + "/9a01"
	hooksObject  = "hooks/" + domain.String() + "/" + string(goldenRun) + "-1"
	runObject    = "runs/" + domain.String() + "/" + string(goldenRun)
	endObject    = "restores/" + domain.String() + "/" + string(goldenRun) + "-" + string(goldenDisk)
	packsObject  = runObject + ".packs"
	signedObject = "repo.sig"
)

// records fills in the records that name a data pack and pages.
func (g *golden) records(data ivd.PackID, pages []ivd.PageRef) {
	unit := int32(3)
	const incarnation = ivd.IncarnationID("51a0c0de-0000-4000-8000-000000000001")
	g.point = format.Point{
		Head: head("points/" + string(goldenPoint)), ID: goldenPoint,
		Source: format.PointSource{Kind: format.VCenter, ID: goldenSource, Label: "lab", Product: "VMware vCenter Server", Version: "8.0.3", Build: "24022515"},
		Disk: format.PointDisk{
			Kind: ivd.IVD, ID: goldenDisk, Name: "pvc-web-1", Created: goldenTime.Add(-1000 * time.Hour), Path: "[fast] fcd/web-1.vmdk",
			Datastore:    format.PointDatastore{ID: "datastore-52", Name: "fast", Type: "VMFS", URL: "ds:///vmfs/volumes/6000/"},
			Provisioning: "thin", BackingUUID: "6000C290-aaaa", Encryption: &format.Encryption{Provider: "kms", KeyID: "k-1"},
			Policy:      &format.StoragePolicy{ID: "aa6d5a82-1c88-45da-85d3-3d74b91a5bad", Name: "Gold"},
			Tags:        []format.Tag{{Category: "tier", Name: "gold"}, {Category: "tier/gold", Name: "a/b"}},
			Attachments: []format.Attachment{{VM: "5029aaaa-0000-4000-8000-000000000002", Name: "node-1", Controller: "ParaVirtualSCSIController 0", Unit: &unit, Mode: "independent_persistent"}},
			Kubernetes:  &format.Kubernetes{Cluster: "prod", Namespace: "shop", PVC: "web-1", PV: "pvc-1", Labels: []format.Pair{{Key: "app", Value: "web"}, {Key: "App", Value: "Web"}}, PVLabels: []format.Pair{{Key: "zone", Value: "a"}}},
		},
		Geometry: goldenGeometry, CutAt: goldenGeometry.Capacity, Time: goldenTime.Add(time.Minute),
		Snapshot:    format.PointSnapshot{ID: "snap-7", Created: goldenTime.Add(time.Minute)},
		Tracking:    format.Tracking{CBT: format.CBTOn, ChangeID: "52 d6 9a 2c/17", Mode: format.ReadChanged, Since: "52 d6 9a 2c/12"},
		Consistency: format.CrashConsistent, Policy: "nightly", Run: goldenRun, Incarnation: incarnation,
		Lease: goldenLease, LeaseDeadline: goldenTime.Add(24 * time.Hour), SealedAt: goldenTime.Add(time.Hour),
		Parent: &format.PointParent{Point: ivd.NewPointID(domain, goldenSource, goldenDisk, goldenTime.Add(-24*time.Hour), "20261123t230000z-00000001"), Sum: ivd.ContentID{7}},
		Pages:  pages,
		Stats:  ivd.Stats{DiskBytes: goldenGeometry.Capacity, ReadBytes: 3 << 18, ZeroBytes: 1 << 18, NewBytes: 74873, CompressedBytes: 5000, StoredBytes: 6000, Packs: 2},
	}
	g.lease = format.Lease{Head: head("leases/" + string(goldenLease)), ID: goldenLease, Kind: format.WriteLease, Owner: "ivd@host", Run: goldenRun, Incarnation: incarnation, Opened: goldenTime, Deadline: goldenTime.Add(24 * time.Hour)}
	g.writer = format.Writer{Head: head(writerObject), ID: writer, Mover: "proxy-1", Run: "20261126T120000Z-abcd", Lease: goldenLease, Incarnation: incarnation, Created: goldenTime}
	g.condemned = format.Condemned{Head: head(listObject), Created: goldenTime, Parts: []ivd.ContentID{{9}, {8}}, Packs: []ivd.PackID{data}, Writers: []ivd.WriterID{writer}, Points: []ivd.PointID{g.point.ID}}
	g.waits = format.Waits{Head: head(waitsObject), Listed: goldenTime, Leases: []format.WaitedLease{{ID: goldenLease, Kind: format.WriteLease, Owner: "ivd@host", Deadline: goldenTime.Add(24 * time.Hour)}}}
	g.done = format.Done{Head: head(doneObject), Ended: goldenTime.Add(30 * time.Hour), Deleted: format.Counts{Points: 1, Packs: 200, Writers: 3}, Spared: format.Counts{Packs: 7}}
	g.retired = format.PackList{Head: head(markObject), Kind: format.RetiredMagic, Reason: "mostly dead", Created: goldenTime, Packs: []ivd.PackID{data}}
	g.verified = format.PackList{Head: head(proofObject), Kind: format.VerifiedMagic, Reason: "every frame was opened", Created: goldenTime, Packs: []ivd.PackID{packRef(2).Pack, packRef(1).Pack}}
	g.hooks = format.Hooks{Head: head(hooksObject), Created: goldenTime, Packs: format.PackSet{packRef(1), packRef(2)}, Hooks: []format.Hook{{ID: ivd.ContentID{3}, Pack: 1}, {ID: ivd.ContentID{4}}}}
	g.restored = format.Restored{
		Head: head(endObject), Run: goldenRun, Item: string(goldenDisk), Point: goldenPoint, Source: goldenSource, Datastore: "datastore-52",
		Disk: "8000c298-1111-4222-8333-444455556666", Name: "pvc-web-1-back", Ended: goldenTime.Add(time.Hour),
	}
	g.packs = format.StoredPacks{Head: head(packsObject), Created: goldenTime, Parts: []ivd.ContentID{{9}, {8}}, Packs: []format.StoredPack{{ID: packRef(4).Pack, Kind: format.DataPack, Length: 16 << 20}, {ID: packRef(5).Pack, Kind: format.IndexPack, Length: 777}}}
	g.verdict = format.StoreVerdict{Head: head(format.StoreObject), Store: "s3://backups/estate-1", Checked: goldenTime, Probes: []format.StoreFinding{
		{Name: "create_once", Required: true, Outcome: format.StoreKept},
		{Name: "lock", Outcome: format.StoreBroken, Why: "the bucket has no object lock", Lacks: "restore points are not protected", Remedy: "make a bucket with object lock"},
	}}
	g.signed = format.Signed{Head: head(signedObject), States: []format.SignedState{{Generation: 1, Sum: ivd.ContentID{9}}, {Generation: 2, Sum: ivd.ContentID{8}}}}
	g.forgotten = format.Forgotten{
		Head: head("forgotten/" + string(goldenPoint)), Point: goldenPoint, At: goldenTime.Add(48 * time.Hour), Reason: "policy nightly keeps it by none of its rules",
		Policy: "nightly", Run: "20261126t230000z-00000002",
	}
	g.pin = format.Pin{Head: head("pins/" + string(goldenPoint)), Point: goldenPoint, At: goldenTime.Add(time.Hour), Reason: "before the upgrade", Released: goldenTime.Add(50 * time.Hour)}
	g.hold = format.Hold{
		Head: head("holds/" + string(goldenPoint)), Point: goldenPoint, At: goldenTime.Add(time.Hour), Until: goldenTime.Add(9000 * time.Hour), Reason: "case 4711",
		Released: goldenTime.Add(51 * time.Hour), Why: "settled",
	}
	g.quarantined = format.Quarantined{
		Head: head("quarantined/" + string(goldenPoint)), Point: goldenPoint, At: goldenTime.Add(time.Hour), Reason: "its page is lost with disk 7",
		Lifted: goldenTime.Add(52 * time.Hour),
	}
	g.run = format.Run{
		Head: head(runObject), ID: goldenRun, Kind: "backup", State: "partial", Policy: "nightly", Coordinator: "ivd-1", Incarnation: incarnation,
		Lease: goldenLease, Started: goldenTime, Ended: goldenTime.Add(2 * time.Hour),
		Points:    []format.RunPoint{{Point: g.point.ID, Sum: ivd.ContentID{5}, Name: "pvc-web-1", Time: g.point.Time, SealedAt: g.point.SealedAt, Mode: format.ReadChanged, Geometry: goldenGeometry, Policy: "nightly", Stats: g.point.Stats, Datastore: g.point.Disk.Datastore, Parent: g.point.Parent.Point, Consistency: g.point.Consistency}},
		Failed:    []format.RunFailure{{Source: goldenSource, Disk: "7000c298-1111-4222-8333-444455556666", Name: "db-1", State: "failed", Reason: "no mover"}},
		Forgotten: []ivd.PointID{ivd.NewPointID(domain, goldenSource, goldenDisk, goldenTime.Add(-48*time.Hour), "20261122t230000z-00000002")},
		Sequence:  7, Previous: &format.RunLink{Run: "20261123t230000z-00000001", Sum: ivd.ContentID{6}},
	}
}

// files is what each golden file is now.
func (g golden) files(t *testing.T) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	files["data.pack"], _ = g.data.Finish()
	files["index.pack"], _ = g.index.Finish()
	for name, encode := range map[string]func() ([]byte, error){
		"node": g.node.Encode, "page": g.page.Encode, "point": g.point.Encode, "lease": g.lease.Encode,
		"writer": g.writer.Encode, "condemned": g.condemned.Encode, "retired": g.retired.Encode, "verified": g.verified.Encode, "run": g.run.Encode, "hooks": g.hooks.Encode,
		"restored":  g.restored.Encode,
		"waits":     g.waits.Encode,
		"done":      g.done.Encode,
		"packs":     g.packs.Encode,
		"signed":    g.signed.Encode,
		"store":     g.verdict.Encode,
		"forgotten": g.forgotten.Encode, "pin": g.pin.Encode, "hold": g.hold.Encode,
		"quarantined": g.quarantined.Encode,
	} {
		b, err := encode()
		if err != nil {
			t.Fatal(err)
		}
		files[name] = b
	}
	return files
}

const goldenFolder = "testdata/v1"

func readGolden(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(goldenFolder, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGoldenUpdate(t *testing.T) {
	files := makeGolden(t).files(t) // which must at least be possible
	if !*update {
		return
	}
	if err := os.MkdirAll(goldenFolder, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(goldenFolder, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// What the golden files say is written today as it was then, byte for byte. Packs
// are left out, since they depend on what zstd makes of their content.
func TestGoldenWrite(t *testing.T) {
	for name, again := range map[string]func([]byte) ([]byte, error){
		"node": func(b []byte) ([]byte, error) {
			n, err := format.DecodeNode(b, goldenGeometry, 1)
			return encoded(n, err)
		},
		"page": func(b []byte) ([]byte, error) {
			p, err := format.DecodePage(b, goldenGeometry, 0)
			return encoded(p, err)
		},
		"point":     func(b []byte) ([]byte, error) { return encoded(format.DecodePoint(b, repository, goldenPoint)) },
		"lease":     func(b []byte) ([]byte, error) { return encoded(format.DecodeLease(b, repository, goldenLease)) },
		"writer":    func(b []byte) ([]byte, error) { return encoded(format.DecodeWriter(b, at(writerObject))) },
		"condemned": func(b []byte) ([]byte, error) { return encoded(format.DecodeCondemned(b, at(listObject))) },
		"retired": func(b []byte) ([]byte, error) {
			return encoded(format.DecodePackList(format.RetiredMagic, b, at(markObject)))
		},
		"verified": func(b []byte) ([]byte, error) {
			return encoded(format.DecodePackList(format.VerifiedMagic, b, at(proofObject)))
		},
		"hooks":     func(b []byte) ([]byte, error) { return encoded(format.DecodeHooks(b, at(hooksObject))) },
		"run":       func(b []byte) ([]byte, error) { return encoded(format.DecodeRun(b, at(runObject))) },
		"restored":  func(b []byte) ([]byte, error) { return encoded(format.DecodeRestored(b, at(endObject))) },
		"waits":     func(b []byte) ([]byte, error) { return encoded(format.DecodeWaits(b, at(waitsObject))) },
		"done":      func(b []byte) ([]byte, error) { return encoded(format.DecodeDone(b, at(doneObject))) },
		"packs":     func(b []byte) ([]byte, error) { return encoded(format.DecodeStoredPacks(b, at(packsObject))) },
		"signed":    func(b []byte) ([]byte, error) { return encoded(format.DecodeSigned(b, at(signedObject))) },
		"store":     func(b []byte) ([]byte, error) { return encoded(format.DecodeStoreVerdict(b, at(format.StoreObject))) },
		"forgotten": func(b []byte) ([]byte, error) { return encoded(format.DecodeForgotten(b, repository, goldenPoint)) },
		"pin":       func(b []byte) ([]byte, error) { return encoded(format.DecodePin(b, repository, goldenPoint)) },
		"hold":      func(b []byte) ([]byte, error) { return encoded(format.DecodeHold(b, repository, goldenPoint)) },
		"quarantined": func(b []byte) ([]byte, error) {
			return encoded(format.DecodeQuarantined(b, repository, goldenPoint))
		},
	} {
		old := readGolden(t, name)
		if b, err := again(old); err != nil || !bytes.Equal(b, old) {
			t.Errorf("%s is written differently: %v", name, err)
		}
	}
}

func encoded[T interface{ Encode() ([]byte, error) }](v T, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return v.Encode()
}

func TestGoldenRead(t *testing.T) {
	g := makeGolden(t)
	check := func(name string, got, want any, err error) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", name, err, got, want)
		}
	}
	point, err := format.DecodePoint(readGolden(t, "point"), repository, goldenPoint)
	// Where pages lie in packs depends on what zstd makes of the nodes.
	g.point.Pages, g.condemned.Packs, g.retired.Packs = point.Pages, nil, nil
	check("point", point, g.point, err)
	lease, err := format.DecodeLease(readGolden(t, "lease"), repository, goldenLease)
	check("lease", lease, g.lease, err)
	w, err := format.DecodeWriter(readGolden(t, "writer"), at(writerObject))
	check("writer", w, g.writer, err)
	condemned, err := format.DecodeCondemned(readGolden(t, "condemned"), at(listObject))
	condemned.Packs = nil
	check("condemned", condemned, g.condemned, err)
	retired, err := format.DecodePackList(format.RetiredMagic, readGolden(t, "retired"), at(markObject))
	retired.Packs = nil
	check("retired", retired, g.retired, err)
	verified, err := format.DecodePackList(format.VerifiedMagic, readGolden(t, "verified"), at(proofObject))
	g.verified.Packs = sortedPacks(g.verified.Packs)
	check("verified", verified, g.verified, err)
	run, err := format.DecodeRun(readGolden(t, "run"), at(runObject))
	check("run", run, g.run, err)
	hooks, err := format.DecodeHooks(readGolden(t, "hooks"), at(hooksObject))
	check("hooks", hooks, g.hooks, err)
	restored, err := format.DecodeRestored(readGolden(t, "restored"), at(endObject))
	check("restored", restored, g.restored, err)
	waits, err := format.DecodeWaits(readGolden(t, "waits"), at(waitsObject))
	check("waits", waits, g.waits, err)
	done, err := format.DecodeDone(readGolden(t, "done"), at(doneObject))
	check("done", done, g.done, err)
	packs, err := format.DecodeStoredPacks(readGolden(t, "packs"), at(packsObject))
	check("packs", packs, g.packs, err)
	signed, err := format.DecodeSigned(readGolden(t, "signed"), at(signedObject))
	check("signed", signed, g.signed, err)
	verdict, err := format.DecodeStoreVerdict(readGolden(t, "store"), at(format.StoreObject))
	check("store", verdict, g.verdict, err)
	forgotten, err := format.DecodeForgotten(readGolden(t, "forgotten"), repository, goldenPoint)
	check("forgotten", forgotten, g.forgotten, err)
	pin, err := format.DecodePin(readGolden(t, "pin"), repository, goldenPoint)
	check("pin", pin, g.pin, err)
	hold, err := format.DecodeHold(readGolden(t, "hold"), repository, goldenPoint)
	check("hold", hold, g.hold, err)
	quarantined, err := format.DecodeQuarantined(readGolden(t, "quarantined"), repository, goldenPoint)
	check("quarantined", quarantined, g.quarantined, err)
	node, err := format.DecodeNode(readGolden(t, "node"), goldenGeometry, 1)
	check("node", node.Chunks[255].ID, format.Sum(g.chunks[1]), err)
	page, err := format.DecodePage(readGolden(t, "page"), goldenGeometry, 0)
	check("page", page.Ref(1).Place.PackRef, format.OwnPack, err)
	data := readGolden(t, "data.pack")
	h, entries, err := format.DecodePack(data, nil)
	check("data.pack", h, header(format.DataPack, 1), err)
	for i, e := range entries {
		plain, err := new(format.Opener).Frame(nil, data[e.Offset:e.Offset+e.Length], format.Sum(g.chunks[i]))
		check("chunk", plain, g.chunks[i], err)
	}
	_, entries, err = format.DecodePack(readGolden(t, "index.pack"), nil)
	check("index.pack", len(entries), 3, err)
}

// sortedPacks is packs as a list has them.
func sortedPacks(packs []ivd.PackID) []ivd.PackID {
	return slices.SortedFunc(slices.Values(packs), func(a, b ivd.PackID) int { return bytes.Compare(a[:], b[:]) })
}

// The record of a run that says less of its points is still read, and known to say less.
func TestGoldenRunWithoutPlaces(t *testing.T) {
	r, err := format.DecodeRun(readGolden(t, "run-without-places"), at(runObject))
	if err != nil || len(r.Points) != 1 || r.Points[0].Tells() {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err = format.DecodeRun(readGolden(t, "run"), at(runObject)); err != nil || !r.Points[0].Tells() {
		t.Errorf("%+v, %v", r, err)
	}
}
