package keys_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/keys"
)

const repository = "6b1f2d0e-7a53-4c1d-9e0f-2b8c5d4a3f21"

var (
	domain = ivd.DomainID{0xd0, 1}
	now    = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	at     = format.At{Repository: repository, Domain: domain, Object: "keys/ring"}
	slotAt = format.At{Repository: repository, Domain: domain, Object: "keys/slot-1"}
	quick  = format.Argon2{Time: 1, Memory: 8 << 10, Threads: 1}
)

func head(object string) format.Head {
	return format.Head{Repository: repository, Domain: domain, Object: object, Program: "test"}
}

// must is a value that cannot fail to be there.
func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newMaster(t testing.TB) *keys.Master {
	return must[*keys.Master](t)(keys.New(head(at.Object), now))
}

func slotOf(t testing.TB, m *keys.Master, passphrase string) []byte {
	s := format.Slot{Head: head(slotAt.Object), Kind: format.PassphraseSlot, Name: "me", Created: now, Argon2: quick}
	return must[[]byte](t)(m.Slot(s, []byte(passphrase)))
}

// wantKind fails unless the error is of a kind.
func wantKind(t testing.TB, what string, err error, kind ivd.Kind) {
	t.Helper()
	if err == nil || ivd.KindOf(err) != kind {
		t.Errorf("%s: %v, want kind %q", what, err, kind)
	}
}

// A passphrase opens everything again.
func TestSlotOpensTheRing(t *testing.T) {
	m := newMaster(t)
	slot, ring := slotOf(t, m, "correct horse"), must[[]byte](t)(m.Ring())
	_, err := format.OpenSlot(slot, slotAt, []byte("wrong horse"))
	wantKind(t, "another passphrase", err, ivd.Denied)
	c := must[format.SlotContent](t)(format.OpenSlot(slot, slotAt, []byte("correct horse")))
	again := must[*keys.Master](t)(keys.Open(c, ring, at))

	first, second := must[*keys.Access](t)(m.Access(domain)), must[*keys.Access](t)(again.Access(domain))
	if a, b := first.Suite().ID([]byte("x")), second.Suite().ID([]byte("x")); a != b || a == format.Sum([]byte("x")) {
		t.Errorf("ids %s and %s", a, b)
	}
	w := ivd.NewWriterID()
	k := must[*format.WriterKeys](t)(first.Writer(w))
	h := format.PackHeader{Kind: format.DataPack, Cipher: format.CipherAES, Repository: repository, Domain: domain, Writer: w, DataKey: k.DataKey}
	if got := must[ivd.Key](t)(second.FrameKey(h, k.SealedFrame[:])); !got.Equal(k.Frame) {
		t.Error("another frame key")
	}
	h.Writer[0]++
	_, err = second.FrameKey(h, k.SealedFrame[:])
	wantKind(t, "the frame key as another writer's", err, ivd.Corrupt)

	_, err = keys.Open(c, must[[]byte](t)(newMaster(t).Ring()), at)
	wantKind(t, "another repository's ring", err, ivd.Corrupt)
}

// Every byte of a slot and of the ring counts.
func TestKeysDamage(t *testing.T) {
	m := newMaster(t)
	slot, ring := slotOf(t, m, "p"), must[[]byte](t)(m.Ring())
	c := must[format.SlotContent](t)(format.OpenSlot(slot, slotAt, []byte("p")))
	for i := 0; i < len(ring); i += 1 + i/500 {
		b := bytes.Clone(ring)
		b[i] ^= 1
		if _, err := keys.Open(c, b, at); ivd.KindOf(err) != ivd.Corrupt && ivd.KindOf(err) != ivd.Unsupported {
			t.Fatalf("byte %d of the ring: %v", i, err)
		}
	}
	for i := 0; i < len(slot); i += 7 {
		b := bytes.Clone(slot)
		b[i] ^= 1
		if _, err := format.OpenSlot(b, slotAt, []byte("p")); err == nil {
			t.Fatalf("byte %d of %d of a slot may change", i, len(slot))
		}
	}
	other := slotAt
	other.Object = "keys/slot-2"
	_, err := format.OpenSlot(slot, other, []byte("p"))
	wantKind(t, "a slot under another name", err, ivd.Corrupt)
}

// What a slot asks for is looked at before it is taken.
func TestAbsurdSlot(t *testing.T) {
	for what, p := range map[string]format.Argon2{
		"4 TiB":      {Time: 1, Memory: 1<<32 - 1, Threads: 1},
		"for ever":   {Time: 1<<32 - 1, Memory: 8 << 10, Threads: 1},
		"no time":    {Memory: 8 << 10, Threads: 1},
		"no memory":  {Time: 1, Threads: 1},
		"no threads": {Time: 1, Memory: 8 << 10},
	} {
		s := &format.Slot{Head: head(slotAt.Object), Kind: format.PassphraseSlot, Argon2: p, Salt: make([]byte, 32), Check: make([]byte, 16), Sealed: make([]byte, 80)}
		_, err := format.DecodeSlot(must[[]byte](t)(s.Encode()), slotAt)
		wantKind(t, what, err, ivd.Unsupported)
		wantKind(t, what+", closed", s.Close([]byte("p"), format.SlotContent{}), ivd.Unsupported)
	}
}

// An export backs up, and neither opens a chunk nor signs that anything goes.
func TestExport(t *testing.T) {
	m := newMaster(t)
	e := must[keys.Export](t)(m.Export(domain, "coordinator-2", now))
	ring := must[format.Ring](t)(keys.ReadRing(must[[]byte](t)(m.Ring()), at, ed25519.PublicKey(e.Root)))
	file := must[[]byte](t)(e.Encode())
	a := must[*keys.Access](t)(must[keys.Export](t)(keys.DecodeExport(file)).Access(ring))
	all := must[*keys.Access](t)(m.Access(domain)) // the ring knows the export's signer
	if a.Suite().ID(nil) != all.Suite().ID(nil) {
		t.Error("it names contents otherwise")
	}
	k := must[*format.WriterKeys](t)(all.Writer(ivd.WriterID{1}))
	_, err := a.FrameKey(format.PackHeader{Writer: ivd.WriterID{1}, DataKey: k.DataKey}, k.SealedFrame[:])
	wantKind(t, "a chunk's key", err, ivd.Denied)

	for _, magic := range format.Magics {
		record := must[[]byte](t)(format.SealRecord(magic, []byte("{}")))
		b, err := a.Protect(record, "x")
		may := magic == format.HooksMagic || strings.Contains(" IVDPOINT IVDLEASE IVDWRITR IVDRETIR IVDSUMMA IVDRSEND IVDSTORE IVDPACKS ", " "+string(magic)+" ")
		if !may {
			wantKind(t, string(magic), err, ivd.Denied)
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", magic, err)
			continue
		}
		for who, reader := range map[string]*keys.Access{"itself": a, "the repository": all} {
			if got, err := format.Unprotect(b, magic, reader); err != nil || !bytes.Equal(got, record) {
				t.Errorf("%q, read by %s: %v", magic, who, err)
			}
		}
	}
}

// What was sealed before a rotation is opened after it, and what comes is sealed anew.
func TestRotate(t *testing.T) {
	m := newMaster(t)
	before := must[*keys.Access](t)(m.Access(domain))
	w := ivd.WriterID{1}
	old := must[*format.WriterKeys](t)(before.Writer(w))
	if err := m.Rotate(domain, now); err != nil {
		t.Fatal(err)
	}
	after := must[*keys.Access](t)(m.Access(domain))
	h := format.PackHeader{Writer: w, DataKey: old.DataKey}
	if k := must[ivd.Key](t)(after.FrameKey(h, old.SealedFrame[:])); !k.Equal(old.Frame) {
		t.Error("what was sealed before is lost")
	}
	fresh := must[*format.WriterKeys](t)(after.Writer(w))
	if fresh.DataKey == old.DataKey {
		t.Error("the data key is the same")
	}
	_, err := before.FrameKey(format.PackHeader{Writer: w, DataKey: fresh.DataKey}, fresh.SealedFrame[:])
	wantKind(t, "a newer data key", err, ivd.Unsupported)
	if ivd.RemedyOf(err) != format.UnknownKeyRemedy { // no release knows it better
		t.Errorf("remedy %q", ivd.RemedyOf(err))
	}
}

// Keys print as [secret], whatever prints them.
func TestNothingPrints(t *testing.T) {
	m := newMaster(t)
	c := must[format.SlotContent](t)(format.OpenSlot(slotOf(t, m, "p"), slotAt, []byte("p")))
	if text := strings.ToLower(fmt.Sprintf("%v %+v %#v", c, c, c)); strings.Contains(text, hex.EncodeToString(c.Master.Reveal())) || !strings.Contains(text, "[secret]") {
		t.Errorf("printed: %s", text)
	}
}
