package script

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

func TestHostsAreReadAsWritten(t *testing.T) {
	dir := t.TempDir()
	if h, err := ReadHosts(dir); err != nil || !reflect.DeepEqual(h, Hosts{}) {
		t.Fatalf("without a file: %+v, %v", h, err)
	}
	want := Hosts{
		NFCMemory: 48 << 20, NFCConnections: 52, Latency: Duration(2 * time.Millisecond), Bandwidth: 1 << 30,
		HotAdd: Pace{Latency: Duration(150 * time.Microsecond)}, SAN: Pace{Bandwidth: 1 << 20},
		Proxies: []Proxy{{BIOSUUID: "a", VM: "lab-vm-1", FreeSlots: 3, LUNs: []string{"datastore1"}}},
	}
	if err := WriteHosts(dir, want); err != nil {
		t.Fatal(err)
	}
	if h, err := ReadHosts(dir); err != nil || !reflect.DeepEqual(h, want) {
		t.Fatalf("%+v, %v", h, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "hosts.json"), []byte(`{"nfc_memori": 1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadHosts(dir); err == nil {
		t.Fatal("a misspelt key is taken")
	}
}

func TestFaultsAreReplaced(t *testing.T) {
	dir := t.TempDir()
	if err := WriteFaults(dir); err != nil {
		t.Fatal(err)
	}
	if err := WriteFaults(dir, Fault{Call: "Open", Do: Code(13)}, Fault{Call: "Read", Do: Delay(2 * time.Second)}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "faults.json"))
	want := "[\n {\n  \"call\": \"Open\",\n  \"do\": \"code:13\"\n },\n {\n  \"call\": \"Read\",\n  \"do\": \"delay:2s\"\n }\n]\n"
	if err != nil || string(text) != want {
		t.Fatalf("%s, %v", text, err)
	}
	if err := WriteFaults(dir); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Fatalf("%v is left, %v", left, err)
	}
}

func TestMisuses(t *testing.T) {
	dir := t.TempDir()
	text := `{"time":"2026-01-02T03:04:05.000006Z","pid":7,"rule":"null","detail":"x"}` + "\n" + `{"time":`
	if err := os.WriteFile(filepath.Join(dir, "report.jsonl"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := Misuses(dir)
	want := Misuse{Time: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), PID: 7, Rule: "null", Detail: "x"}
	if err != nil || len(list) != 1 || list[0] != want {
		t.Fatalf("%+v, %v", list, err)
	}
}

// What a laboratory says when it ends stands beside what the library found, and is
// taken back by the next start.
func TestUnendedAccess(t *testing.T) {
	dir := t.TempDir()
	found := Misuse{Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), PID: 7, Rule: EndAccess, Detail: "x"}
	for _, want := range [][]Misuse{{found, found}, nil, nil} {
		if err := WriteUnended(dir, want); err != nil {
			t.Fatal(err)
		}
		if list, err := Misuses(dir); err != nil || !reflect.DeepEqual(list, want) {
			t.Fatalf("%+v, %v", list, err)
		}
	}
}

func TestAnswersAreReadAsWritten(t *testing.T) {
	dir := t.TempDir()
	if rules, err := ReadAnswers(dir); err != nil || rules != nil {
		t.Fatalf("without a file: %+v, %v", rules, err)
	}
	start, id := int64(7), "series/9"
	want := []Answer{
		{Call: "RetrieveSnapshotDetails", Disk: "d", ChangeID: &id, Delay: Duration(time.Second)},
		{Call: "VstorageObjectVCenterQueryChangedDiskAreas", Since: "*", From: 1, Areas: &Areas{Start: &start, Length: -1, Areas: [][2]int64{{3, 4}}}},
		{Call: "DeleteSnapshot_Task", Fault: "SystemError"},
	}
	if err := WriteAnswers(dir, want...); err != nil {
		t.Fatal(err)
	}
	if rules, err := ReadAnswers(dir); err != nil || !reflect.DeepEqual(rules, want) {
		t.Fatalf("%+v, %v", rules, err)
	}
	if err := WriteAnswers(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "answers.json"), []byte(`[{"cal": "x"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadAnswers(dir); err == nil {
		t.Fatal("a misspelt key is taken")
	}
}
