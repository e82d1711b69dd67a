package keys_test

import (
	"bytes"
	"crypto/ed25519"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/keys"
)

var update = flag.Bool("update", false, "write the golden files anew")

const goldenFolder = "testdata/v1"

// Of the golden keys.
const (
	goldenPassphrase = "correct horse"
	goldenSheet      = "000G-40R4-0M30-FNF2 104G-M2RC-1M70-YQKX 208H-44RM-2MB1-EKGJ 30CH-M6RW-3MF1-YPB2"
)

var goldenSlots = map[string]string{"slot-1": "a passphrase", "slot-2": "a key file", "slot-3": "a recovery sheet"}

// makeGolden makes keys of every kind. They are random, and differ each time.
func makeGolden(t *testing.T) map[string][]byte {
	t.Helper()
	m := newMaster(t)
	file, e := m.File(domain, "a key file", now), must[keys.Export](t)(m.Export(domain, "coordinator-2", now))
	sheet := must[keys.Opening](t)(keys.ReadOpening(goldenSheet))
	all := map[string][]byte{
		"key_file": must[[]byte](t)(file.Encode()), "export": must[[]byte](t)(e.Encode()), "ring": must[[]byte](t)(m.Ring()),
	}
	for name, by := range map[string]keys.Opening{"slot-1": keys.Passphrase(goldenPassphrase), "slot-2": file.Opening(), "slot-3": sheet} {
		s := format.Slot{Head: head("keys/" + name), Name: goldenSlots[name], Created: now}
		if by.Kind() == format.PassphraseSlot {
			s.Argon2 = quick
		}
		all[name] = must[[]byte](t)(by.Close(m, s))
	}
	return all
}

func readGolden(t *testing.T, name string) []byte {
	t.Helper()
	return must[[]byte](t)(os.ReadFile(filepath.Join(goldenFolder, name)))
}

// Slots, the ring, key files, exports and recovery sheets are read for ever.
func TestGoldenKeys(t *testing.T) {
	if *update {
		for name, b := range makeGolden(t) {
			if err := os.WriteFile(filepath.Join(goldenFolder, name), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	ring := readGolden(t, "ring")
	var suite *keys.Access
	for name, secret := range map[string]string{"slot-1": goldenPassphrase, "slot-2": string(readGolden(t, "key_file")), "slot-3": goldenSheet} {
		o := must[keys.Opening](t)(keys.ReadOpening(ivd.Secret(secret)))
		where := at
		where.Object = "keys/" + name
		c, err := o.Open(readGolden(t, name), where)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		m := must[*keys.Master](t)(keys.Open(c, ring, at))
		if err := o.Fits(repository, domain, m.Root()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		suite = must[*keys.Access](t)(m.Access(domain))
	}
	e := must[keys.Export](t)(keys.DecodeExport(readGolden(t, "export")))
	own := must[*keys.Access](t)(e.Access(must[format.Ring](t)(keys.ReadRing(ring, at, ed25519.PublicKey(e.Root)))))
	if suite == nil || own.Suite().ID([]byte("x")) != suite.Suite().ID([]byte("x")) || !own.MaySign(format.PointMagic) {
		t.Error("the export is of other keys")
	}
	again := must[[]byte](t)(e.Encode())
	if !bytes.Equal(again, readGolden(t, "export")) {
		t.Error("the export is written differently")
	}
	f := must[keys.File](t)(keys.DecodeFile(bytes.TrimSpace(readGolden(t, "key_file"))))
	if again := must[[]byte](t)(f.Encode()); !bytes.Equal(again, readGolden(t, "key_file")) {
		t.Error("the key file is written differently")
	}
}
