package keys_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/keys"
)

// slotBy makes a slot that an opening opens.
func slotBy(t testing.TB, m *keys.Master, o keys.Opening) []byte {
	s := format.Slot{Head: head(slotAt.Object), Name: "me", Created: now}
	if o.Kind() == format.PassphraseSlot {
		s.Argon2 = quick
	}
	return must[[]byte](t)(o.Close(m, s))
}

// What opens a slot is known by its content: a passphrase, a key file, the code of a
// recovery sheet, and its lines as a person has typed them.
func TestReadOpening(t *testing.T) {
	m := newMaster(t)
	file := m.File(domain, "me", now)
	sheet := keys.Recovery{Secret: ivd.NewKey(), Repository: repository, Root: m.Root()}
	lines := format.RecoveryLines(sheet.Secret)
	typed := func(sep string) string { return strings.ToLower(strings.Join(lines, sep)) }
	for what, c := range map[string]struct {
		text  string
		slot  keys.Opening
		kind  format.SlotKind
		other []byte // a slot that it must not open
	}{
		"a passphrase":             {"correct horse", keys.Passphrase("correct horse"), format.PassphraseSlot, slotBy(t, m, file.Opening())},
		"a passphrase of digits":   {strings.Repeat("0123456789abcdef", 4), keys.Passphrase(ivd.Secret(strings.Repeat("0123456789abcdef", 4))), format.PassphraseSlot, slotBy(t, m, file.Opening())},
		"a key file":               {string(must[[]byte](t)(file.Encode())), file.Opening(), format.KeyFileSlot, slotBy(t, m, keys.Passphrase("x"))},
		"a sheet's code":           {sheet.Text(), sheet.Opening(), format.KeyFileSlot, slotBy(t, m, file.Opening())},
		"a sheet's code, small":    {strings.ToLower(sheet.Text()) + "\n", sheet.Opening(), format.KeyFileSlot, nil},
		"a sheet's lines":          {typed("\n"), sheet.Opening(), format.KeyFileSlot, nil},
		"a sheet's lines, on one":  {typed(" "), sheet.Opening(), format.KeyFileSlot, nil},
		"a sheet's lines, as read": {strings.Join(lines, ""), sheet.Opening(), format.KeyFileSlot, nil},
	} {
		o, err := keys.ReadOpening(ivd.Secret(c.text))
		if err != nil || o.Kind() != c.kind {
			t.Errorf("%s: %s, %v", what, o.Kind(), err)
			continue
		}
		if err := o.Fits(repository, domain, m.Root()); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := o.Open(slotBy(t, m, c.slot), slotAt); err != nil {
			t.Errorf("%s opens not its slot: %v", what, err)
		}
		if c.other != nil {
			_, err := o.Open(c.other, slotAt)
			wantKind(t, what+", another's slot", err, ivd.Denied)
		}
		if text := fmt.Sprintf("%v %+v %#v", o, o, o); strings.Contains(text, c.text) || !strings.Contains(text, "[secret]") {
			t.Errorf("printed: %s", text)
		}
	}
}

// A mistake is told from another's secret.
func TestReadOpeningRefuses(t *testing.T) {
	m := newMaster(t)
	file := string(must[[]byte](t)(m.File(domain, "me", now).Encode()))
	export := string(must[[]byte](t)(must[keys.Export](t)(m.Export(domain, "two", now)).Encode()))
	code := keys.Recovery{Secret: ivd.NewKey(), Repository: repository, Root: m.Root()}.Text()
	for what, c := range map[string]struct {
		text string
		kind ivd.Kind
		says string
	}{
		"an export":             {export, ivd.Invalid, "opens no slot"},
		"half a key file":       {file[:len(file)/2], ivd.Corrupt, "no key file"},
		"a newer key file":      {strings.Replace(file, `"ivd_key_file":1`, `"ivd_key_file":2`, 1), ivd.Unsupported, "version 2"},
		"another cipher":        {strings.Replace(file, keys.Cipher, "none", 1), ivd.Unsupported, "none"},
		"another hash":          {strings.Replace(file, keys.Hash, "blake3-256", 1), ivd.Unsupported, "blake3-256"},
		"a key file's secret":   {shorter(t, file, "secret"), ivd.Corrupt, "secret of 31"},
		"a key file's root":     {shorter(t, file, "root"), ivd.Corrupt, "root key of 31"},
		"a newer code":          {strings.Replace(code, ":1:", ":2:", 1), ivd.Unsupported, "another version"},
		"half a code":           {code[:60], ivd.Invalid, "parts"},
		"a code without a root": {strings.Replace(code, strings.ToUpper(m.Root().String()), "x", 1), ivd.Invalid, "root"},
		"a mistyped code":       {code[:len(code)-1] + other(code[len(code)-1]), ivd.Invalid, "line 4"},
	} {
		_, err := keys.ReadOpening(ivd.Secret(c.text))
		wantKind(t, what, err, c.kind)
		if err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", what, err, c.says)
		}
	}
	typed := strings.Join(format.RecoveryLines(ivd.NewKey()), " ")
	o := must[keys.Opening](t)(keys.ReadOpening(ivd.Secret(other(typed[0]) + typed[1:])))
	if err := o.Refused(); !strings.Contains(err.Error(), "mistyped in line 1") {
		t.Errorf("%v", err)
	}
}

func other(b byte) string {
	if b == 'A' {
		return "B"
	}
	return "A"
}

// shorter is a key file one of whose values lacks its last byte.
func shorter(t *testing.T, file, key string) string {
	t.Helper()
	var f map[string]any
	if err := json.Unmarshal([]byte(file), &f); err != nil {
		t.Fatal(err)
	}
	var b format.Binary
	if err := b.UnmarshalText([]byte(f[key].(string))); err != nil {
		t.Fatal(err)
	}
	f[key] = b[:len(b)-1]
	return string(must[[]byte](t)(json.Marshal(f)))
}

// A key that pins its repository opens no other one.
func TestOpeningFits(t *testing.T) {
	m := newMaster(t)
	file, sheet := m.File(domain, "me", now).Opening(), keys.Recovery{Secret: ivd.NewKey(), Repository: repository, Root: m.Root()}.Opening()
	for what, o := range map[string]keys.Opening{"a key file": file, "a sheet": sheet} {
		wantKind(t, what+", another repository", o.Fits("7b1f2d0e-7a53-4c1d-9e0f-2b8c5d4a3f21", domain, m.Root()), ivd.Denied)
		wantKind(t, what+", another root", o.Fits(repository, domain, ivd.KeyID{9}), ivd.Denied)
	}
	wantKind(t, "another domain", file.Fits(repository, ivd.DomainID{9}, m.Root()), ivd.Denied)
	if err := keys.Passphrase("p").Fits(repository, domain, m.Root()); err != nil {
		t.Error(err)
	}
}

// A signer that was removed signs nothing more, and what it has signed stays valid.
func TestRemoveSigner(t *testing.T) {
	m := newMaster(t)
	e := must[keys.Export](t)(m.Export(domain, "coordinator-2", now))
	a := must[*keys.Access](t)(e.Access(m.PublicRing()))
	record := must[[]byte](t)(format.SealRecord(format.LeaseMagic, []byte("{}")))
	signed := must[[]byte](t)(a.Protect(record, "x"))
	wantKind(t, "the only one that signs collections", m.RemoveSigner(m.PublicRing().Signers[0].ID, now), ivd.Unmet)
	wantKind(t, "one that is not there", m.RemoveSigner(ivd.KeyID{9}, now), ivd.NotFound)
	before := m.PublicRing()
	if err := m.RemoveSigner(e.Signer.ID, now); err != nil {
		t.Fatal(err)
	}
	if ring := m.PublicRing(); ring.Generation != before.Generation+1 || !before.Signers[1].Removed.IsZero() {
		t.Errorf("generation %d after %d; removed before %s", ring.Generation, before.Generation, before.Signers[1].Removed)
	}
	wantKind(t, "twice", m.RemoveSigner(e.Signer.ID, now), ivd.NotFound)
	_, err := e.Access(m.PublicRing())
	wantKind(t, "what its holder does then", err, ivd.Denied)
	all := must[*keys.Access](t)(m.Access(domain))
	if got, err := format.Unprotect(signed, format.LeaseMagic, all); err != nil || string(got) != string(record) {
		t.Errorf("what it has signed: %v", err)
	}
	c := must[format.SlotContent](t)(format.OpenSlot(slotOf(t, m, "p"), slotAt, []byte("p")))
	again := must[*keys.Master](t)(keys.Open(c, must[[]byte](t)(m.Ring()), at))
	if r := again.PublicRing().Signers[1]; !r.Removed.Equal(now) {
		t.Errorf("read again: %+v", r)
	}
}

// Whatever lies in a file of a key is read without a panic.
func FuzzReadOpening(f *testing.F) {
	m := newMaster(f)
	f.Add(string(must[[]byte](f)(m.File(domain, "me", now).Encode())))
	f.Add(keys.Recovery{Secret: ivd.Key{1}, Repository: repository, Root: m.Root()}.Text())
	f.Add("correct horse battery staple")
	f.Add(`{"ivd_key_file":1`)
	f.Fuzz(func(t *testing.T, text string) {
		o, err := keys.ReadOpening(ivd.Secret(text))
		if err != nil {
			if k := ivd.KindOf(err); k != ivd.Invalid && k != ivd.Corrupt && k != ivd.Unsupported {
				t.Errorf("error of kind %q: %v", k, err)
			}
			return
		}
		if o.Kind() != format.PassphraseSlot && o.Kind() != format.KeyFileSlot {
			t.Errorf("kind %q", o.Kind())
		}
	})
}
