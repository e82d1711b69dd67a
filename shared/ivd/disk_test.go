package ivd_test

import (
	"encoding/json"
	"testing"

	"ivdmover/shared/ivd"
)

func TestParseDiskID(t *testing.T) {
	for text, want := range map[string]ivd.DiskID{
		"8CA8C0A1-7B35-41FB-A8C9-0000DEADBEEF":        "8ca8c0a1-7b35-41fb-a8c9-0000deadbeef",
		" 8ca8c0a17b3541fba8c90000deadbeef\n":         "8ca8c0a1-7b35-41fb-a8c9-0000deadbeef",
		"8ca8c0a1-7b35-41fb-a8c9-0000deadbeef.2000":   "8ca8c0a1-7b35-41fb-a8c9-0000deadbeef.2000",
		"8ca8c0a1-7b35-41fb-a8c9-0000deadbeef.":       "",
		"8ca8c0a1-7b35-41fb-a8c9-0000deadbeef.2000.1": "",
		"8ca8c0a1-7b35-41fb-a8c9-0000deadbeef.-1":     "",
		"data-01": "",
		"":        "",
	} {
		id, err := ivd.ParseDiskID(text)
		if id != want || (err != nil) != (want == "") {
			t.Errorf("%q is disk %q: %v", text, id, err)
		}
		if err != nil && (ivd.KindOf(err) != ivd.Invalid || ivd.RemedyOf(err) == "") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if k := ivd.DiskID("8ca8c0a1-7b35-41fb-a8c9-0000deadbeef").Kind(); k != ivd.IVD {
		t.Errorf("an IVD is a %s", k)
	}
	if k := ivd.DiskID("8ca8c0a1-7b35-41fb-a8c9-0000deadbeef.2000").Kind(); k != ivd.VMDisk {
		t.Errorf("a VM's disk is a %s", k)
	}
}

func TestParseSourceID(t *testing.T) {
	for text, good := range map[string]bool{
		"dbed6e0c-bd88-4ef6-b594-21283e1c677f": true, "a": true, "0.x": true,
		"": false, ".a": false, "-a": false, "A": false, "a/b": false, "a b": false, "ä": false,
	} {
		if id, err := ivd.ParseSourceID(text); (err == nil) != good || good && string(id) != text {
			t.Errorf("%q is source %q: %v", text, id, err)
		}
	}
}

func TestDiskRef(t *testing.T) {
	r := ivd.NewDiskRef("vc", "datastore-52", "disk")
	if r.Source() != "vc" || r.Datastore() != "datastore-52" || r.ID() != "disk" || !r.Made() {
		t.Errorf("%v", r)
	}
	if moved := r.On("datastore-53"); moved != ivd.NewDiskRef("vc", "datastore-53", "disk") || r.Datastore() != "datastore-52" {
		t.Errorf("%v was relocated to %v", r, moved)
	}
	if ivd.NewDiskRef("vc", "datastore-52", "").Made() {
		t.Error("a disk without an id exists")
	}
	text, err := json.Marshal(r)
	if err != nil || string(text) != `{"source":"vc","datastore":"datastore-52","disk":"disk"}` {
		t.Errorf("%s: %v", text, err)
	}
	var again ivd.DiskRef
	if err := json.Unmarshal(text, &again); err != nil || again != r {
		t.Errorf("%v: %v", again, err)
	}
	if err := json.Unmarshal([]byte(`{"source":1}`), &again); err == nil {
		t.Error("a source that is a number is accepted")
	}
}
