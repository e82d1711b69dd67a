package repo_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/soak"
	"ivdmover/shared/store"
)

// inBoth tries something on a plain and on an encrypted repository with an object of each
// kind.
func inBoth(t *testing.T, f func(t *testing.T, b *bucket, k repo.Keys)) {
	for _, sealed := range []bool{false, true} {
		t.Run(map[bool]string{false: "plain", true: "encrypted"}[sealed], func(t *testing.T) {
			t.Parallel()
			b, k := everything(t, sealed)
			r := reopen(t, b, k)
			for _, name := range names(b) {
				if err := readObject(t, r, k, name); err != nil {
					t.Fatalf("%s in order: %v", name, err)
				}
			}
			f(t, b, k)
		})
	}
}

// unprotected is what nothing but its own order protects: repo.json of a plain repository.
func unprotected(name store.Name, k repo.Keys) bool {
	return name == infoName && k.Passphrase == ""
}

// heads are the bytes at an object's beginning and end of which every bit is tried.
const heads = 112

// Every byte of every object, flipped, is found by who reads that object: all bits of
// what headers and trailers say, and one of some bytes between; of slots, which cost a
// stretched passphrase, of some bytes; with IVD_SOAK all bits of all.
func TestEveryFlipIsFound(t *testing.T) {
	inBoth(t, func(t *testing.T, b *bucket, k repo.Keys) {
		r := reopen(t, b, k)
		seen := map[string]bool{}
		for _, name := range names(b) {
			kind := kindOf(name)
			good := b.body(t, name)
			step := 1 + len(good)/300
			if kind == "keys/slot" || seen[kind] {
				step = 1 + len(good)/40
			}
			if soak.Times(1) > 1 {
				step = 1
			}
			for i := 0; i < len(good); i++ {
				bits := []int{i % 8}
				switch edge := i < heads || i >= len(good)-heads; {
				case edge && !seen[kind] && kind != "keys/slot" || soak.Times(1) > 1:
					bits = []int{0, 1, 2, 3, 4, 5, 6, 7}
				case i%step != 0:
					continue
				}
				for _, bit := range bits {
					bad := bytes.Clone(good)
					bad[i] ^= 1 << bit
					b.put(name, bad)
					what := fmt.Sprintf("%s, byte %d of %d, bit %d", name, i, len(good), bit)
					if err := readObject(t, r, k, name); err != nil || !unprotected(name, k) {
						asFound(t, what, err)
					}
				}
			}
			b.put(name, good)
			seen[kind] = true
			if t.Failed() {
				return
			}
		}
	})
}

// What is cut off, longer, empty, another's, or of a later release is found as well.
func TestEveryOtherObjectIsFound(t *testing.T) {
	strangers := map[string]*bucket{}
	strangers["another plain repository"], _ = everything(t, false)
	strangers["another encrypted repository"], _ = everything(t, true)
	inBoth(t, func(t *testing.T, b *bucket, k repo.Keys) {
		r := reopen(t, b, k)
		all := names(b)
		for _, name := range all {
			good := b.body(t, name)
			cases := map[string][]byte{
				"empty": {}, "one byte": good[:1], "half": good[:len(good)/2], "a byte less": good[:len(good)-1],
				"a byte more": append(bytes.Clone(good), 0), "twice": append(bytes.Clone(good), good...),
				"zeros": make([]byte, len(good)), "a hundred zeros more": append(bytes.Clone(good), make([]byte, 100)...),
			}
			for _, other := range all {
				if other != name {
					cases["the object "+string(other)] = b.body(t, other)
				}
			}
			for who, s := range strangers {
				for _, other := range names(s) {
					if kindOf(other) == kindOf(name) {
						cases[who+"'s "+string(other)] = s.body(t, other)
					}
				}
			}
			for what, bad := range cases {
				if bytes.Equal(bad, good) {
					continue
				}
				b.put(name, bad)
				err := readObject(t, r, k, name)
				if err != nil || !unprotected(name, k) {
					asFound(t, string(name)+" is "+what, err)
				}
			}
			if kind := kindOf(name); kind != "repo.json" && kind != "data" && kind != "index" {
				later := bytes.Clone(good)
				later[8] = 9
				b.put(name, later)
				if err := readObject(t, r, k, name); err == nil || ivd.KindOf(err) == ivd.Corrupt {
					t.Errorf("%s of a later release: %v", name, err)
				}
			}
			b.put(name, good)
		}
	})
}

// An encrypted repository takes nothing that is not sealed and signed as its kind must
// be: neither a plain record of its own, nor one whose signature was taken off.
func TestNoDowngrade(t *testing.T) {
	b, k := everything(t, true)
	r := reopen(t, b, k)
	m, err := r.Master(t.Context(), k.Passphrase)
	if err != nil {
		t.Fatal(err)
	}
	access, err := m.Access(r.Domain())
	if err != nil {
		t.Fatal(err)
	}
	tried := map[format.Magic]bool{}
	for _, name := range names(b) {
		good := b.body(t, name)
		magic := format.Magic(good[:min(8, len(good))])
		if !slices.Contains(format.Magics, magic) || magic == format.SlotMagic {
			continue
		}
		plain, err := format.Unprotect(good, magic, access)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		unsigned := good[:len(good)-80]
		if magic == format.HooksMagic {
			unsigned = plain // hooks have no signature, and are sealed all the same
		} else {
			unsigned = bytes.Clone(unsigned)
			clear(unsigned[11:16])
		}
		for what, bad := range map[string][]byte{"in the clear": plain, "without a signature": unsigned} {
			b.put(name, bad)
			err := readObject(t, r, k, name)
			if err == nil || ivd.KindOf(err) != ivd.Corrupt && !errors.Is(err, errUnread) {
				t.Errorf("%s %s: %v", name, what, err)
			}
		}
		b.put(name, good)
		tried[magic] = true
	}
	if len(tried) < 14 {
		t.Errorf("%d kinds were tried", len(tried))
	}
}

// Whatever byte of a pack was changed, a restore ends with an error or with what was
// stored, never with other bytes.
func TestNoFlipIsRestored(t *testing.T) {
	inBoth(t, func(t *testing.T, b *bucket, k repo.Keys) {
		want, err := restore(t, reopen(t, b, k))
		if err != nil || len(want) != 2 || !bytes.HasPrefix(want[slices.Sorted(maps.Keys(want))[0]], []byte("the first chunk")) {
			t.Fatalf("%d points: %v", len(want), err)
		}
		for _, name := range names(b) {
			if kind := kindOf(name); kind != "data" && kind != "index" && kind != "points" && kind != "writers" {
				continue
			}
			good := b.body(t, name)
			step := 1 + len(good)/soak.Times(7)
			for i := 0; i < len(good); i += step {
				bad := bytes.Clone(good)
				bad[i] ^= 1 << (i % 8)
				b.put(name, bad)
				got, err := restore(t, reopen(t, b, k))
				if err != nil {
					asFound(t, fmt.Sprintf("%s, byte %d", name, i), err)
				} else if !maps.EqualFunc(got, want, bytes.Equal) {
					t.Errorf("%s, byte %d: other bytes were restored", name, i)
				}
			}
			b.put(name, good)
		}
	})
}
