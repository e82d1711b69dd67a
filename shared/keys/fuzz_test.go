package keys_test

import (
	"bytes"
	"testing"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/keys"
)

// answered fails unless untrusted bytes are answered in one of the ways that there are.
func answered(t *testing.T, err error) {
	t.Helper()
	if k := ivd.KindOf(err); err != nil && k != ivd.Invalid && k != ivd.Corrupt && k != ivd.Unsupported && k != ivd.Denied {
		t.Fatalf("error of kind %q: %v", k, err)
	}
}

// enveloped calls f with bytes as they are, and as the body of a record in order.
func enveloped(t *testing.T, m format.Magic, b []byte, f func(b []byte)) {
	f(b)
	record, err := format.SealRecord(m, b)
	if err != nil {
		t.Fatal(err)
	}
	f(record)
}

// FuzzReadRing reads anything as keys/ring: as an object, as a record in the clear, and as
// who holds the root's key.
func FuzzReadRing(f *testing.F) {
	m := newMaster(f)
	ring := must[[]byte](f)(m.Ring())
	f.Add(ring)
	f.Add(ring[format.RecordHeaderSize:])
	f.Add(bytes.Replace(ring[format.RecordHeaderSize:], []byte(`"signers":[`), []byte(`"signers":[{},`), 1))
	c := must[format.SlotContent](f)(format.OpenSlot(slotOf(f, m, "p"), slotAt, []byte("p")))
	f.Fuzz(func(t *testing.T, b []byte) {
		enveloped(t, format.RingMagic, b, func(b []byte) {
			_, err := format.DecodeRing(b, at)
			answered(t, err)
			if r, err := format.ReadRing(b, at); err != nil {
				answered(t, err)
			} else if _, err := format.OpenSecrets(c.Master, r); err != nil {
				answered(t, err)
			}
			_, err = keys.ReadRing(b, at, format.PublicOf(c.Root))
			answered(t, err)
			_, err = keys.Open(c, b, at)
			answered(t, err)
		})
	})
}

// FuzzOpenSlot reads anything as a slot, and opens it where that does not take long.
func FuzzOpenSlot(f *testing.F) {
	m := newMaster(f)
	slot := slotOf(f, m, "p")
	f.Add(slot)
	f.Add(slot[format.RecordHeaderSize:])
	file := m.File(domain, "me", now)
	byFile := must[[]byte](f)(file.Opening().Close(m, format.Slot{Head: head(slotAt.Object), Name: "me", Created: now}))
	f.Add(byFile)
	f.Add(bytes.Replace(slot[format.RecordHeaderSize:], []byte(`"memory":8192`), []byte(`"memory":4294967295`), 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		enveloped(t, format.SlotMagic, b, func(b []byte) {
			_, err := format.DecodeSlot(b, slotAt)
			answered(t, err)
			s, err := format.ReadSlot(b, slotAt)
			answered(t, err)
			if err == nil && (s.Argon2.Memory > quick.Memory || s.Argon2.Time > 2) {
				return // within its bounds, and it would take long
			}
			_, err = format.OpenSlot(b, slotAt, []byte("p"))
			answered(t, err)
			_, err = file.Opening().Open(b, slotAt)
			answered(t, err)
		})
	})
}

// FuzzKeyFiles reads anything as a coordinator's export, a key file, and what a mover gets
// of its coordinator; what is taken is used.
func FuzzKeyFiles(f *testing.F) {
	m := newMaster(f)
	ring := m.PublicRing()
	export := must[keys.Export](f)(m.Export(domain, "one", now))
	f.Add(must[[]byte](f)(export.Encode()))
	f.Add(must[[]byte](f)(must[*keys.Access](f)(m.Access(domain)).Grant().Encode()))
	f.Add(must[[]byte](f)(m.File(domain, "me", now).Encode()))
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := keys.DecodeExport(b); err != nil {
			answered(t, err)
		} else if _, err := e.Access(ring); err != nil && ivd.KindOf(err) != ivd.NotFound {
			answered(t, err)
		}
		if g, err := keys.DecodeGrant(b); err != nil {
			answered(t, err)
		} else if _, err := g.Access(ring); err != nil && ivd.KindOf(err) != ivd.NotFound {
			answered(t, err)
		}
		_, err := keys.DecodeFile(b)
		answered(t, err)
	})
}

// FuzzUnprotect opens anything as each kind of record of an encrypted repository.
func FuzzUnprotect(f *testing.F) {
	m := newMaster(f)
	all := must[*keys.Access](f)(m.Access(domain))
	for _, magic := range format.Magics {
		record := must[[]byte](f)(format.SealRecord(magic, []byte("{}")))
		if protected, err := all.Protect(record, "object"); err == nil {
			f.Add(protected)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, magic := range format.Magics {
			_, err := format.Unprotect(b, magic, all)
			answered(t, err)
		}
	})
}
