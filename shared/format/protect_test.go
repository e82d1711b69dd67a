package format_test

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// ring holds one key of each secrecy, and one signer.
type ring struct {
	signs func(m format.Magic) bool
}

var (
	metadataID, recordID, signerID = ivd.KeyID{1}, ivd.KeyID{2}, ivd.KeyID{3}
	sealsRecords                   = map[format.Secrecy]ivd.KeyID{format.ByMetadata: metadataID, format.ByRecord: recordID}
)

func (ring) Opens(id ivd.KeyID, s format.Secrecy) (ivd.Key, error) {
	if id != sealsRecords[s] {
		return ivd.Key{}, ivd.Errorf(ivd.Unsupported, "key %s", id)
	}
	return key(id[0]), nil
}

func (r ring) Signer(id ivd.KeyID, m format.Magic) (ed25519.PublicKey, error) {
	switch {
	case id != signerID:
		return nil, ivd.Errorf(ivd.Unsupported, "signer %s", id)
	case r.signs != nil && !r.signs(m):
		return nil, ivd.Errorf(ivd.Corrupt, "signer %s does not sign %q", id, m)
	}
	return signer(4).Public().(ed25519.PublicKey), nil
}

func protection(m format.Magic) format.Protection {
	id := sealsRecords[m.Secrecy()]
	return format.Protection{Key: key(id[0]), KeyID: id, Random: [32]byte{9}, Signer: signerID, Sign: signer(4)}
}

func protect(t testing.TB, record []byte, p format.Protection) []byte {
	t.Helper()
	b, err := format.Protect(record, "the/name", p)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Every kind of record comes back as it was, and lies in the clear only where its kind
// says so.
func TestProtect(t *testing.T) {
	body := content(1, 3000, true)
	for _, m := range format.Magics {
		record, err := format.SealRecord(m, body)
		if err != nil {
			t.Fatal(err)
		}
		b := protect(t, record, protection(m))
		if clear := bytes.Contains(b, body[:64]); clear != (m.Secrecy() == format.Clear) {
			t.Errorf("%q lies in the clear: %t", m, clear)
		}
		if got, err := format.Unprotect(b, m, ring{}); err != nil || !bytes.Equal(got, record) {
			t.Errorf("%q: %v", m, err)
		}
		if _, err := format.OpenRecord(m, b); ivd.KindOf(err) != ivd.Corrupt {
			t.Errorf("%q is taken by a plain repository: %v", m, err)
		}
		if _, err := format.Unprotect(record, m, ring{}); m != format.HooksMagic && ivd.KindOf(err) != ivd.Corrupt || err == nil {
			t.Errorf("%q in the clear is taken by an encrypted repository: %v", m, err)
		}
		unsigned := protection(m)
		unsigned.Sign = nil
		_, err = format.Unprotect(protect(t, record, unsigned), m, ring{})
		if m == format.HooksMagic && err != nil || m != format.HooksMagic && ivd.KindOf(err) != ivd.Corrupt {
			t.Errorf("%q that is not signed: %v", m, err)
		}
		if _, err := format.Unprotect(b, m, ring{func(format.Magic) bool { return false }}); ivd.KindOf(err) != ivd.Corrupt {
			t.Errorf("%q of a signer without the right: %v", m, err)
		}
	}
}

// Whatever bit of a protected record changes is told, and is damage wherever it is not
// a value that is not known.
func TestProtectedRecordDamage(t *testing.T) {
	record, err := format.SealRecord(format.PointMagic, content(1, 200, true))
	if err != nil {
		t.Fatal(err)
	}
	good := protect(t, record, protection(format.PointMagic))
	for i := range good {
		for bit := range 8 {
			b := bytes.Clone(good)
			b[i] ^= 1 << bit
			_, err := format.Unprotect(b, format.PointMagic, ring{})
			if k := ivd.KindOf(err); k != ivd.Corrupt && k != ivd.Unsupported || k == ivd.Unsupported && i >= format.RecordHeaderSize && i < len(good)-80 {
				t.Fatalf("bit %d of byte %d: %v", bit, i, err)
			}
		}
	}
	for n := range good {
		if _, err := format.Unprotect(good[:n], format.PointMagic, ring{}); ivd.KindOf(err) != ivd.Corrupt {
			t.Fatalf("cut off at %d: %v", n, err)
		}
	}
	wantRefused(t, refusedBy(format.Unprotect(append(bytes.Clone(good), 0), format.PointMagic, ring{})), ivd.Corrupt, "header says")
}

func refusedBy(_ []byte, err error) error { return err }

// A key that is not known is no damage: the record may be a newer one's.
func TestProtectedByAnUnknownKey(t *testing.T) {
	record, err := format.SealRecord(format.PointMagic, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(p *format.Protection){
		"signer":               func(p *format.Protection) { p.Signer[0]++ },
		"key":                  func(p *format.Protection) { p.KeyID[5]++ },
		"key of other records": func(p *format.Protection) { p.KeyID = metadataID },
	} {
		p := protection(format.PointMagic)
		change(&p)
		if _, err := format.Unprotect(protect(t, record, p), format.PointMagic, ring{}); ivd.KindOf(err) != ivd.Unsupported {
			t.Errorf("another %s: %v", what, err)
		}
	}
}

// Two records never share a key stream, even where the source of randomness fails.
func TestNonceOfARecord(t *testing.T) {
	seal := func(name, body string) []byte {
		record, err := format.SealRecord(format.PointMagic, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		b, err := format.Protect(record, name, protection(format.PointMagic))
		if err != nil {
			t.Fatal(err)
		}
		return b[32:64]
	}
	if bytes.Equal(seal("a", "1"), seal("a", "2")) || bytes.Equal(seal("a", "1"), seal("b", "1")) || !bytes.Equal(seal("a", "1"), seal("a", "1")) {
		t.Error("the nonce does not follow from name and body")
	}
}
