package format_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// goldenRecords are the golden records by their kind, and what each is called.
var goldenRecords = map[format.Magic]string{
	format.PointMagic: "point", format.LeaseMagic: "lease", format.WriterMagic: "writer",
	format.CondemnedMagic: "condemned", format.RetiredMagic: "retired", format.VerifiedMagic: "verified", format.RunMagic: "run",
	format.HooksMagic: "hooks", format.RestoredMagic: "restored", format.StoredMagic: "packs",
	format.SignedMagic: "signed", format.StoreMagic: "store",
	format.WaitsMagic: "waits", format.DoneMagic: "done",
	format.ForgottenMagic: "forgotten", format.PinMagic: "pin", format.HoldMagic: "hold",
	format.QuarantinedMagic: "quarantined",
}

// What a record's header may not say, of every kind of record: what is not known
// here is unsupported, what is wrong is damage.
func TestRecordHeaderRefused(t *testing.T) {
	for name, c := range map[string]change{
		"a kind from elsewhere":       {func(b []byte) { copy(b, "IVDFUTUR") }, ivd.Unsupported, "IVDFUTUR"},
		"another kind":                {func(b []byte) { copy(b, format.RingMagic) }, ivd.Corrupt, "IVDRING"},
		"version 0":                   {func(b []byte) { b[8] = 0 }, ivd.Unsupported, "version 0"},
		"a newer version":             {func(b []byte) { b[9] = 1 }, ivd.Unsupported, "version 257"},
		"a cipher":                    {func(b []byte) { b[10] = 2 }, ivd.Unsupported, "cipher 2"},
		"a signature's algorithm":     {func(b []byte) { b[11] = 2 }, ivd.Unsupported, "signature algorithm 2"},
		"a signature without any":     {func(b []byte) { b[12] = 64 }, ivd.Unsupported, "signature without an algorithm"},
		"a signature of 16 MiB":       {func(b []byte) { b[15] = 1 }, ivd.Unsupported, "signature"},
		"a key id without a cipher":   {func(b []byte) { b[16] = 1 }, ivd.Unsupported, "key id"},
		"a key id's end":              {func(b []byte) { b[31] = 1 }, ivd.Unsupported, "key id"},
		"a nonce without a cipher":    {func(b []byte) { b[32] = 1 }, ivd.Unsupported, "nonce"},
		"a nonce's end":               {func(b []byte) { b[63] = 1 }, ivd.Unsupported, "nonce"},
		"a body that is longer":       {func(b []byte) { b[64]++ }, ivd.Corrupt, "header says"},
		"a body of exabytes":          {func(b []byte) { b[71] = 0xff }, ivd.Corrupt, "header says"},
		"reserved bytes":              {func(b []byte) { b[72] = 1 }, ivd.Unsupported, "reserved"},
		"reserved bytes' end":         {func(b []byte) { b[79] = 1 }, ivd.Unsupported, "reserved"},
		"another checksum":            {func(b []byte) { b[80]++ }, ivd.Corrupt, "checksum"},
		"another checksum at its end": {func(b []byte) { b[111]++ }, ivd.Corrupt, "checksum"},
		"another body":                {func(b []byte) { b[len(b)-1]++ }, ivd.Corrupt, "checksum"},
	} {
		for magic, decode := range decoders() {
			b := readGolden(t, goldenRecords[magic])
			c.lie(b)
			err := decode(b)
			if err == nil {
				t.Errorf("%s is accepted of a %s", name, goldenRecords[magic])
				continue
			}
			wantRefused(t, err, c.kind, c.says)
		}
	}
	for magic, decode := range decoders() {
		b := readGolden(t, goldenRecords[magic])
		wantRefused(t, decode(b[:len(b)-1]), ivd.Corrupt, "header says")
		wantRefused(t, decode(append(b, 0)), ivd.Corrupt, "header says")
		wantRefused(t, decode(b[:111]), ivd.Corrupt, "111 bytes")
		wantRefused(t, decode(nil), ivd.Corrupt, "0 bytes")
	}
}

// Every record says whose it is and what it is called: under another name, in
// another domain or in another repository it is damage.
func TestRecordElsewhere(t *testing.T) {
	g := makeGolden(t)
	g.run.Forgotten = nil // points say their domain themselves
	heads := map[format.Magic]*format.Head{
		format.PointMagic: &g.point.Head, format.LeaseMagic: &g.lease.Head, format.WriterMagic: &g.writer.Head,
		format.CondemnedMagic: &g.condemned.Head, format.RetiredMagic: &g.retired.Head, format.VerifiedMagic: &g.verified.Head, format.RunMagic: &g.run.Head, format.HooksMagic: &g.hooks.Head,
		format.RestoredMagic:  &g.restored.Head,
		format.WaitsMagic:     &g.waits.Head,
		format.DoneMagic:      &g.done.Head,
		format.StoredMagic:    &g.packs.Head,
		format.SignedMagic:    &g.signed.Head,
		format.StoreMagic:     &g.verdict.Head,
		format.ForgottenMagic: &g.forgotten.Head, format.PinMagic: &g.pin.Head, format.HoldMagic: &g.hold.Head,
		format.QuarantinedMagic: &g.quarantined.Head,
	}
	for name, lie := range map[string]func(h *format.Head){
		"another repository": func(h *format.Head) { h.Repository = "7b1f2d0e-7a53-4c1d-9e0f-2b8c5d4a3f21" },
		"another domain":     func(h *format.Head) { h.Domain[15]++ },
		"another name":       func(h *format.Head) { h.Object += "0" },
	} {
		for magic, decode := range decoders() {
			good := *heads[magic]
			lie(heads[magic])
			b := seal(t, magic, g)
			*heads[magic] = good
			if b == nil && magic == format.RestoredMagic && name != "another repository" {
				continue // what it says makes its name, and its point's domain is its own: it is not written
			}
			made := magic == format.PointMagic || magic == format.LeaseMagic || isMark(magic) // whose names their ids make
			if name == "another name" && made || name == "another domain" && magic == format.LeaseMagic {
				continue
			}
			if name == "another domain" && (magic == format.PointMagic || isMark(magic)) {
				if b != nil {
					t.Errorf("a %s of another domain than its name's is written", goldenRecords[magic])
				}
				continue
			}
			if err := decode(b); err == nil {
				t.Errorf("%s is accepted of a %s", name, goldenRecords[magic])
			} else {
				wantRefused(t, err, ivd.Corrupt, "it is ")
			}
		}
	}
	_, err := format.DecodeLease(readGolden(t, "lease"), repository, "another")
	wantRefused(t, err, ivd.Corrupt, "it is leases/")
	_, err = format.DecodePoint(readGolden(t, "point"), repository, goldenPoint.Part(1))
	wantRefused(t, err, ivd.Corrupt, "it is points/")
	_, err = format.DecodePin(readGolden(t, "pin"), repository, goldenPoint.Part(1))
	wantRefused(t, err, ivd.Corrupt, "it is pins/")
}

// isMark reports whether records of a kind are marks beside a point, whose names it makes.
func isMark(m format.Magic) bool {
	return m == format.ForgottenMagic || m == format.PinMagic || m == format.HoldMagic || m == format.QuarantinedMagic
}

// seal is a golden record as it is written, or nil where it is not.
func seal(t *testing.T, magic format.Magic, g golden) []byte {
	t.Helper()
	b, err := map[format.Magic]func() ([]byte, error){
		format.PointMagic: g.point.Encode, format.LeaseMagic: g.lease.Encode, format.WriterMagic: g.writer.Encode,
		format.CondemnedMagic: g.condemned.Encode, format.RetiredMagic: g.retired.Encode, format.VerifiedMagic: g.verified.Encode, format.RunMagic: g.run.Encode, format.HooksMagic: g.hooks.Encode,
		format.RestoredMagic:  g.restored.Encode,
		format.WaitsMagic:     g.waits.Encode,
		format.DoneMagic:      g.done.Encode,
		format.StoredMagic:    g.packs.Encode,
		format.SignedMagic:    g.signed.Encode,
		format.StoreMagic:     g.verdict.Encode,
		format.ForgottenMagic: g.forgotten.Encode, format.PinMagic: g.pin.Encode, format.HoldMagic: g.hold.Encode,
		format.QuarantinedMagic: g.quarantined.Encode,
	}[magic]()
	if err != nil && magic != format.PointMagic && magic != format.RestoredMagic && !isMark(magic) {
		t.Fatal(err)
	}
	return b
}

// reworded is a golden JSON record in which a text was replaced by another.
func reworded(t *testing.T, magic format.Magic, old, replacement string) []byte {
	t.Helper()
	body := string(readGolden(t, goldenRecords[magic])[format.RecordHeaderSize:])
	if !strings.Contains(body, old) {
		t.Fatalf("a %s does not say %s: %s", goldenRecords[magic], old, body)
	}
	b, err := format.SealRecord(magic, []byte(strings.Replace(body, old, replacement, 1)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A word that is not known here is unsupported, in every place that has words of
// its own; damage is damage; keys that are not known do no harm.
func TestRecordWords(t *testing.T) {
	type reword struct {
		magic    format.Magic
		old, new string
		kind     ivd.Kind // none: it is accepted
		says     string
	}
	for name, c := range map[string]reword{
		"an outcome of a store":     {format.StoreMagic, `"outcome":"broken"`, `"outcome":"bent"`, ivd.Unsupported, "bent"},
		"a verdict on no store":     {format.StoreMagic, `"store":`, `"stone":`, ivd.Corrupt, "of which store"},
		"a verdict of no time":      {format.StoreMagic, `"checked":`, `"cheeked":`, ivd.Corrupt, "of which store"},
		"a verdict without any":     {format.StoreMagic, `"probes":`, `"proves":`, ivd.Corrupt, "of which store"},
		"a finding without a name":  {format.StoreMagic, `"name":"lock"`, `"nome":"lock"`, ivd.Corrupt, "without a name"},
		"a point's requirement":     {format.PointMagic, `{`, `{"requires":["x-ray"],`, ivd.Unsupported, "x-ray"},
		"a lease's requirement":     {format.LeaseMagic, `{`, `{"requires":["x-ray"],`, ivd.Unsupported, "x-ray"},
		"a writer's requirement":    {format.WriterMagic, `{`, `{"requires":["x-ray"],`, ivd.Unsupported, "x-ray"},
		"a run's requirement":       {format.RunMagic, `{`, `{"requires":["x-ray"],`, ivd.Unsupported, "x-ray"},
		"a restore's requirement":   {format.RestoredMagic, `{`, `{"requires":["x-ray"],`, ivd.Unsupported, "x-ray"},
		"waits that require more":   {format.WaitsMagic, `{`, `{"requires":["x-ray"],`, ivd.Unsupported, "x-ray"},
		"waits without a time":      {format.WaitsMagic, `"listed":`, `"lifted":`, ivd.Corrupt, "when the leases"},
		"waits for no lease":        {format.WaitsMagic, `"id":`, `"ip":`, ivd.Corrupt, "without a name"},
		"waits without a deadline":  {format.WaitsMagic, `"deadline":`, `"headline":`, ivd.Corrupt, "or a deadline"},
		"a key more in waits":       {format.WaitsMagic, `{`, `{"speed":7,`, "", ""},
		"an end that requires more": {format.DoneMagic, `{`, `{"requires":["x-ray"],`, ivd.Unsupported, "x-ray"},
		"an end without a time":     {format.DoneMagic, `"ended":`, `"bended":`, ivd.Corrupt, "when"},
		"a key more in an end":      {format.DoneMagic, `{`, `{"speed":7,`, "", ""},
		"a restore of another run":  {format.RestoredMagic, `"run":"2026`, `"run":"3026`, ivd.Corrupt, "of item"},
		"a restore of another item": {format.RestoredMagic, `"item":"6`, `"item":"7`, ivd.Corrupt, "of item"},
		"a restore to no disk":      {format.RestoredMagic, `"disk":"8`, `"disc":"8`, ivd.Corrupt, "which disk"},
		"a restore to no source":    {format.RestoredMagic, `"source":`, `"sauce":`, ivd.Corrupt, "which disk"},
		"a restore to nowhere":      {format.RestoredMagic, `"datastore":`, `"store":`, ivd.Corrupt, "which disk"},
		"a restore without a name":  {format.RestoredMagic, `"name":`, `"nome":`, ivd.Corrupt, "which disk"},
		"a restore without an end":  {format.RestoredMagic, `"ended":`, `"end":`, ivd.Corrupt, "which disk"},
		"a restore of no point":     {format.RestoredMagic, `"point":"d0`, `"point":"x0`, ivd.Corrupt, "no point of its domain"},
		"a point of another domain": {format.RestoredMagic, `"point":"d0`, `"point":"d1`, ivd.Corrupt, "no point of its domain"},
		"a key more in a restore":   {format.RestoredMagic, `{`, `{"speed":7,`, "", ""},
		"a pin's requirement":       {format.PinMagic, `{`, `{"requires":["x-ray"],`, ivd.Unsupported, "x-ray"},
		"a pin without a time":      {format.PinMagic, `"pinned"`, `"penned"`, ivd.Corrupt, "when"},
		"a hold without a time":     {format.HoldMagic, `"held"`, `"kept"`, ivd.Corrupt, "when"},
		"a hold without a reason":   {format.HoldMagic, `"reason":"case 4711"`, `"reason":""`, ivd.Corrupt, "why"},
		"a hold without an end":     {format.HoldMagic, `"until"`, `"till"`, ivd.Corrupt, "until when"},
		"a forgotten one, no time":  {format.ForgottenMagic, `"forgotten":`, `"forgot":`, ivd.Corrupt, "when"},
		"a forgotten one, no why":   {format.ForgottenMagic, `"reason"`, `"season"`, ivd.Corrupt, "why"},
		"a key more in a hold":      {format.HoldMagic, `{`, `{"speed":7,`, "", ""},
		"a source's kind":           {format.PointMagic, `"vcenter"`, `"cloud"`, ivd.Unsupported, `source.kind is "cloud"`},
		"a disk's kind":             {format.PointMagic, `"ivd"`, `"tape"`, ivd.Unsupported, `disk.kind is "tape"`},
		"a tracking":                {format.PointMagic, `"cbt":"on"`, `"cbt":"maybe"`, ivd.Unsupported, `tracking.cbt is "maybe"`},
		"a mode":                    {format.PointMagic, `"mode":"changed"`, `"mode":"guessed"`, ivd.Unsupported, `tracking.mode is "guessed"`},
		"a consistency":             {format.PointMagic, `"crash"`, `"perfect"`, ivd.Unsupported, `consistency is "perfect"`},
		"a lease's kind":            {format.LeaseMagic, `"write"`, `"own"`, ivd.Unsupported, `kind is "own"`},
		"a run's kind":              {format.RunMagic, `"backup"`, `"dream"`, ivd.Unsupported, `kind is "dream"`},
		"a run's state":             {format.RunMagic, `"partial"`, `"odd"`, ivd.Unsupported, `state is "odd"`},
		"a run's point's mode":      {format.RunMagic, `"mode":"changed"`, `"mode":"guessed"`, ivd.Unsupported, `mode is "guessed"`},
		"a run of another's point":  {format.RunMagic, `"run":"20261124t230000z-1f0c2a9b"`, `"run":"other"`, ivd.Corrupt, "another run"},
		"a key more":                {format.PointMagic, `{`, `{"weather":{"Rain":true},`, "", ""},
		"a key more in a lease":     {format.LeaseMagic, `{`, `{"KIND":"own","x":[[1]],`, ivd.Corrupt, "case"},
		"a key more in a writer":    {format.WriterMagic, `{`, `{"colour":"red",`, "", ""},
		"another source":            {format.PointMagic, `"id":"dbed6e0c-`, `"id":"ebed6e0c-`, ivd.Corrupt, "of disk"},
		"another run":               {format.PointMagic, `"run":"2026`, `"run":"3026`, ivd.Corrupt, "of run"},
		"another's parent":          {format.PointMagic, "/6000c298-1111-4222-8333-444455556666/20261123", "/7000c298-1111-4222-8333-444455556666/20261123", ivd.Corrupt, "another disk"},
		"a partial point's place":   {format.PointMagic, `"consistency"`, `"partial":{"next":3},"consistency"`, ivd.Corrupt, "called partial: false, and is: true"},
		"a time that is not UTC":    {format.PointMagic, `"time":"2026-11-24T23:01:00Z"`, `"time":"2026-11-24T23:01:00+01:00"`, ivd.Corrupt, "end in Z"},
		"a lease without an end":    {format.LeaseMagic, `"deadline"`, `"line"`, ivd.Corrupt, "deadline"},
		"no JSON":                   {format.RunMagic, `}`, ``, ivd.Corrupt, "JSON"},
	} {
		decode := decoders()[c.magic]
		err := decode(reworded(t, c.magic, c.old, c.new))
		switch {
		case c.kind == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.kind != "" && err == nil:
			t.Errorf("%s is accepted", name)
		case c.kind != "":
			wantRefused(t, err, c.kind, c.says)
		}
	}
}

// What is required is looked at before what a later release may have changed.
func TestRequirementComesFirst(t *testing.T) {
	body := map[string]any{}
	if err := json.Unmarshal(readGolden(t, "point")[format.RecordHeaderSize:], &body); err != nil {
		t.Fatal(err)
	}
	body["requires"], body["geometry"] = []string{"tapes"}, "by tape"
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	b, err := format.SealRecord(format.PointMagic, text)
	if err != nil {
		t.Fatal(err)
	}
	_, err = format.DecodePoint(b, repository, goldenPoint)
	wantRefused(t, err, ivd.Unsupported, `requires "tapes"`)
}

func TestPointRefused(t *testing.T) {
	for name, lie := range map[string]func(*format.Point){
		"no name":             func(p *format.Point) { p.ID = "" },
		"another disk":        func(p *format.Point) { p.Disk.ID = "7000c298-1111-4222-8333-444455556666" },
		"another source":      func(p *format.Point) { p.Source.ID = "other" },
		"another domain":      func(p *format.Point) { p.Domain[0]++ },
		"another run":         func(p *format.Point) { p.Run = "run-2" },
		"no consistency":      func(p *format.Point) { p.Consistency = "" },
		"a name of a part":    func(p *format.Point) { p.ID = p.ID.Part(2) },
		"no chunk size":       func(p *format.Point) { p.Geometry.ChunkSize = 0 },
		"a page past the end": func(p *format.Point) { p.Pages[0].Page = 1 },
		"a page before zero":  func(p *format.Point) { p.Pages[0].Page = -1 },
		"one page twice":      func(p *format.Point) { p.Pages = append(p.Pages, p.Pages[0]) },
		"a page nowhere":      func(p *format.Point) { p.Pages[0].Place.PackRef = ivd.PackRef{} },
		"a page of nothing":   func(p *format.Point) { p.Pages[0].Place.Length = 1 },
		"a number too large":  func(p *format.Point) { p.Stats.ReadBytes = 1 << 53 },
		"a year of 5 figures": func(p *format.Point) { p.SealedAt = p.SealedAt.AddDate(8000, 0, 0) },
	} {
		g := makeGolden(t)
		lie(&g.point)
		if _, err := g.point.Encode(); err == nil {
			t.Errorf("%s is written", name)
		}
	}
	g := makeGolden(t)
	g.point.ID, g.point.Partial = g.point.ID.Part(2), &format.Partial{Next: 7}
	b, err := g.point.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if p, err := format.DecodePoint(b, repository, g.point.ID); err != nil || p.Partial.Next != 7 || p.Ref() != ivd.NewDiskRef(goldenSource, "datastore-52", goldenDisk) {
		t.Errorf("a partial point: %+v of %v: %v", p.Partial, p.Ref(), err)
	}
	g.lease.Deadline = time.Time{}
	if _, err := g.lease.Encode(); err == nil {
		t.Error("a lease without an end is written")
	}
	g.run.State = "odd"
	if _, err := g.run.Encode(); err == nil {
		t.Error("a run in an odd state is written")
	}
}

// A disk of zeros has a point without pages, and a run may have no point: lists that
// are there and empty.
func TestEmptyLists(t *testing.T) {
	g := makeGolden(t)
	g.point.Pages, g.run.Points = nil, nil
	b := seal(t, format.PointMagic, g)
	if p, err := format.DecodePoint(b, repository, goldenPoint); err != nil || p.Pages == nil || len(p.Pages) != 0 {
		t.Errorf("pages %v: %v", p.Pages, err)
	}
	if r, err := format.DecodeRun(seal(t, format.RunMagic, g), at(runObject)); err != nil || r.Points == nil || len(r.Points) != 0 {
		t.Errorf("points %v: %v", r.Points, err)
	}
}

// Lists are in order, end where they end, and say how many entries they have.
func TestListRefused(t *testing.T) {
	g := makeGolden(t)
	g.condemned.Packs = []ivd.PackID{{2}, {1}, {2}}
	g.condemned.Points = append(g.condemned.Points, goldenPoint.Part(1))
	b := seal(t, format.CondemnedMagic, g)
	c, err := format.DecodeCondemned(b, at(listObject))
	if err != nil || len(c.Packs) != 2 || c.Packs[0] != (ivd.PackID{1}) || len(c.Parts) != 2 || c.Parts[0] != (ivd.ContentID{9}) || len(c.Points) != 2 {
		t.Fatalf("%+v: %v", c, err)
	}
	const flags = format.RecordHeaderSize + 32
	texts := flags + 12 + 2 + len(listObject) + 2 + len("ivd v1.0.0")
	packs := texts + 4 + 2*32
	writers := packs + 4 + 2*32
	points := writers + 4 + 16
	for name, x := range map[string]change{
		"a flag":              {func(b []byte) { b[flags] = 1 }, ivd.Unsupported, "flags"},
		"a flag's end":        {func(b []byte) { b[flags+3] = 1 }, ivd.Unsupported, "flags"},
		"a time out of time":  {func(b []byte) { b[flags+11] = 1 }, ivd.Corrupt, "after 1970"},
		"a name's length":     {func(b []byte) { b[flags+13] = 0xff }, ivd.Corrupt, "early"},
		"parts without end":   {func(b []byte) { b[texts+3] = 1 }, ivd.Corrupt, "entries"},
		"a million and more":  {func(b []byte) { le.PutUint32(b[texts:], format.MaxEntries+1) }, ivd.Corrupt, "entries"},
		"packs out of order":  {func(b []byte) { b[packs+4] = 9 }, ivd.Corrupt, "order"},
		"a pack twice":        {func(b []byte) { b[packs+4] = 2 }, ivd.Corrupt, "order"},
		"a writer less":       {func(b []byte) { b[writers] = 0 }, ivd.Corrupt, ""},
		"points out of order": {func(b []byte) { b[points+4+2] = 'z' }, ivd.Corrupt, "order"},
		"a point less":        {func(b []byte) { b[points] = 1 }, ivd.Corrupt, "too long"},
		"a point more":        {func(b []byte) { b[points] = 3 }, ivd.Corrupt, "early"},
	} {
		lied := bytes.Clone(b)
		x.lie(lied)
		lied, err := format.SealRecord(format.CondemnedMagic, lied[format.RecordHeaderSize:])
		if err != nil {
			t.Fatal(err)
		}
		_, err = format.DecodeCondemned(lied, at(listObject))
		if err == nil {
			t.Errorf("%s is accepted", name)
			continue
		}
		wantRefused(t, err, x.kind, x.says)
	}
	g.retired.Packs = make([]ivd.PackID, format.MaxEntries+1)
	for i := range g.retired.Packs {
		le.PutUint32(g.retired.Packs[i][:], uint32(i))
	}
	if _, err := g.retired.Encode(); err == nil {
		t.Error("a list of more than a million is written")
	}
	g.retired.Packs = g.retired.Packs[1:]
	b, err = g.retired.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if l, err := format.DecodePackList(format.RetiredMagic, b, at(markObject)); err != nil || len(l.Packs) != format.MaxEntries {
		t.Errorf("a list of a million has %d: %v", len(l.Packs), err)
	}
}

func TestHooksRefused(t *testing.T) {
	g := makeGolden(t)
	g.hooks.Hooks = []format.Hook{g.hooks.Hooks[1], g.hooks.Hooks[0]}
	b := seal(t, format.HooksMagic, g)
	const packs = format.RecordHeaderSize + 44 + 2 + len("hooks/d0020304-0506-0708-090a-0b0c0d0e0f10/20261124t230000z-1f0c2a9b-1") + 2 + len("ivd v1.0.0")
	const hooks = packs + 4 + 2*64
	if h, err := format.DecodeHooks(b, at(hooksObject)); err != nil || h.Hooks[0].ID != (ivd.ContentID{3}) || h.Packs[h.Hooks[0].Pack] != packRef(2) {
		t.Fatalf("%+v: %v", h, err)
	}
	for name, x := range map[string]change{
		"packs out of order": {func(b []byte) { b[packs+4] = 9 }, ivd.Corrupt, "order"},
		"packs without end":  {func(b []byte) { b[packs+3] = 1 }, ivd.Corrupt, "entries"},
		"a pack that is not": {func(b []byte) { b[hooks+4+32] = 2 }, ivd.Corrupt, "pack 2 of 2"},
		"out of order":       {func(b []byte) { b[hooks+4] = 9 }, ivd.Corrupt, "order"},
		"a content twice":    {func(b []byte) { b[hooks+4] = 4 }, ivd.Corrupt, "order"},
		"a hook less":        {func(b []byte) { b[hooks] = 1 }, ivd.Corrupt, "too long"},
		"a hook more":        {func(b []byte) { b[hooks] = 3 }, ivd.Corrupt, "entries"},
	} {
		lied := bytes.Clone(b)
		x.lie(lied)
		lied, err := format.SealRecord(format.HooksMagic, lied[format.RecordHeaderSize:])
		if err != nil {
			t.Fatal(err)
		}
		if _, err = format.DecodeHooks(lied, at(hooksObject)); err == nil {
			t.Errorf("%s is accepted", name)
			continue
		}
		wantRefused(t, err, x.kind, x.says)
	}
	// One hook more than there are, of enough that their lengths matter to the byte.
	g.hooks.Hooks = nil
	for i := range byte(7) {
		g.hooks.Hooks = append(g.hooks.Hooks, format.Hook{ID: ivd.ContentID{i}})
	}
	b = seal(t, format.HooksMagic, g)
	b[hooks]++
	b, err := format.SealRecord(format.HooksMagic, b[format.RecordHeaderSize:])
	if err != nil {
		t.Fatal(err)
	}
	_, err = format.DecodeHooks(b, at(hooksObject))
	wantRefused(t, err, ivd.Corrupt, "8 entries")
	g.hooks.Hooks[0].Pack = 2
	if _, err := g.hooks.Encode(); err == nil {
		t.Error("a hook into no pack is written")
	}
}

// A run's list of packs is in order, each pack once, and of a kind that is known.
func TestStoredPacksRefused(t *testing.T) {
	g := makeGolden(t)
	g.packs.Packs = []format.StoredPack{g.packs.Packs[1], g.packs.Packs[0]}
	b := seal(t, format.StoredMagic, g)
	if p, err := format.DecodeStoredPacks(b, at(packsObject)); err != nil || p.Packs[0] != g.packs.Packs[1] || len(p.Packs) != 2 {
		t.Fatalf("%+v: %v", p, err)
	}
	parts := format.RecordHeaderSize + 44 + 2 + len(packsObject) + 2 + len("ivd v1.0.0")
	packs := parts + 4 + 2*32
	for name, x := range map[string]change{
		"parts without end":     {func(b []byte) { b[parts+3] = 1 }, ivd.Corrupt, "entries"},
		"packs without end":     {func(b []byte) { b[packs+3] = 1 }, ivd.Corrupt, "entries"},
		"packs out of order":    {func(b []byte) { b[packs+4] = 9 }, ivd.Corrupt, "order"},
		"a pack twice":          {func(b []byte) { b[packs+4] = 5 }, ivd.Corrupt, "order"},
		"a pack less":           {func(b []byte) { b[packs] = 1 }, ivd.Corrupt, "too long"},
		"a pack more":           {func(b []byte) { b[packs] = 3 }, ivd.Corrupt, "entries"},
		"no kind":               {func(b []byte) { b[packs+4+40] = 0 }, ivd.Unsupported, "of kind 0"},
		"a kind from elsewhere": {func(b []byte) { b[packs+4+40] = 3 }, ivd.Unsupported, "of kind 3"},
		"reserved bytes":        {func(b []byte) { b[packs+4+41] = 1 }, ivd.Unsupported, "reserved"},
		"reserved bytes' end":   {func(b []byte) { b[len(b)-1] = 1 }, ivd.Unsupported, "reserved"},
		"a pack of exabytes":    {func(b []byte) { b[packs+4+39] = 0xff }, ivd.Unsupported, "bytes"},
		"a pack above a GiB":    {func(b []byte) { b[packs+4+35], b[packs+4+32] = 0x40, 1 }, ivd.Unsupported, "bytes"},
	} {
		lied := bytes.Clone(b)
		x.lie(lied)
		lied, err := format.SealRecord(format.StoredMagic, lied[format.RecordHeaderSize:])
		if err != nil {
			t.Fatal(err)
		}
		if _, err = format.DecodeStoredPacks(lied, at(packsObject)); err == nil {
			t.Errorf("%s is accepted", name)
			continue
		}
		wantRefused(t, err, x.kind, x.says)
	}
	for name, p := range map[string][]format.StoredPack{
		"a pack twice":      {g.packs.Packs[0], g.packs.Packs[0]},
		"a pack of no kind": {{ID: ivd.PackID{1}, Length: 1}},
		"a length below 0":  {{ID: ivd.PackID{1}, Kind: format.DataPack, Length: -1}},
	} {
		if _, err := (format.StoredPacks{Head: head(packsObject), Packs: p}).Encode(); err == nil {
			t.Errorf("%s is written", name)
		}
	}
}

// Each kind of record is told from every other by its first 8 bytes.
func TestMagics(t *testing.T) {
	seen := map[format.Magic]bool{}
	for _, m := range format.Magics {
		if len(m) != 8 || !strings.HasPrefix(string(m), "IVD") || seen[m] {
			t.Errorf("kind %q", m)
		}
		seen[m] = true
		if b, err := format.SealRecord(m, []byte("x")); err != nil || string(b[:8]) != string(m) {
			t.Errorf("kind %q is written as %q: %v", m, b[:8], err)
		}
	}
	if len(seen) != 23 {
		t.Errorf("%d kinds", len(seen))
	}
}
