package witness_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"ivdmover/coordinator/witness"
	"ivdmover/shared/ivd"
)

func TestWitness(t *testing.T) {
	file := filepath.Join(t.TempDir(), "known")
	if got, err := witness.At(file).Read(); err != nil || !reflect.DeepEqual(got, witness.Testimony{}) {
		t.Fatalf("before anything was written: %+v, %v", got, err)
	}
	w := witness.At(file)
	want := witness.Testimony{Version: witness.Version, Made: time.Unix(1, 0).UTC(), Last: 7, Entries: []witness.Entry{{Key: "run.a", Value: json.RawMessage(`{"a":1}`)}}}
	for range 2 {
		if err := w.Write(want); err != nil {
			t.Fatal(err)
		}
		if got, err := witness.At(file).Read(); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	for text, kind := range map[string]ivd.Kind{"": ivd.Corrupt, "{": ivd.Corrupt, `{"version":2}`: ivd.Unsupported} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := witness.At(file).Read(); ivd.KindOf(err) != kind {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	if err := witness.At(filepath.Join(file, "below")).Write(want); err == nil {
		t.Error("written below a file")
	}
}
