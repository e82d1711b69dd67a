package repo

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/keys"
	"ivdmover/shared/store"
)

// Keychain is what opens an encrypted repository, and who may sign in it, as people look
// after it: its slots and its ring.
type Keychain struct {
	r      *Repository
	opened openedSlot // zero: nothing was opened, and the keys can only be listed
}

// OpenKeychain opens the keychain of a store's repository. Without keys, or with those of
// a coordinator that only backs up, the keys can be listed and not changed. Kind Unmet:
// the repository is plain. Other kinds as of OpenWith.
func OpenKeychain(ctx context.Context, st store.Store, k Keys) (*Keychain, error) {
	c := new(Keychain)
	var err error
	if k.any() {
		c.r, c.opened, err = openWith(ctx, st, k)
	} else if c.r, _, err = describe(ctx, st); err == nil && c.r.info.sealed() {
		err = c.r.pins(k.Root)
	}
	if err != nil {
		return nil, err
	}
	if !c.r.info.sealed() {
		return nil, &ivd.Error{Kind: ivd.Unmet, Err: fmt.Errorf("the repository at %s is not encrypted: it has no keys", st), Remedy: "make an encrypted one elsewhere with `ivd repo init`"}
	}
	return c, nil
}

// Info is what repo.json says.
func (c *Keychain) Info() Info { return c.r.Info() }

// Repository is the repository, opened; nil where nothing was opened.
func (c *Keychain) Repository() *Repository {
	if c.opened.name == "" {
		return nil
	}
	return c.r
}

// KeyList is what an encrypted repository is opened with, and who signs in it.
type KeyList struct {
	Slots []StoredSlot // by their numbers
	Ring  format.Ring
	// NoRing is why the ring cannot be read; whether slots are signed is not known then.
	NoRing error
}

// StoredSlot is a slot as others see it.
type StoredSlot struct {
	Number  int         // 0: its name is none of a slot's
	Object  store.Name  // keys/slot-<number>
	Slot    format.Slot // as far as it can be read; its secrets are sealed
	Opened  bool        // it is the one that opened this keychain
	Unknown error       // it cannot be read, for this reason
}

// List reads the slots and the ring. Without keys they are checked by the root key that
// repo.json names.
func (c *Keychain) List(ctx context.Context) (KeyList, error) {
	var l KeyList
	var err error
	l.Ring, err = c.r.readRing(ctx)
	switch ivd.KindOf(err) {
	case ivd.NotFound, ivd.Corrupt, ivd.Unsupported:
		l.NoRing = err
	default:
		if err != nil {
			return KeyList{}, err
		}
	}
	names, err := c.r.slotNames(ctx)
	if err != nil {
		return KeyList{}, err
	}
	for _, name := range names {
		o, err := c.r.get(ctx, name, maxSlot)
		s := StoredSlot{Number: slotNumber(name), Object: name, Opened: name == c.opened.name, Unknown: err}
		switch ivd.KindOf(err) {
		case ivd.NotFound:
			continue // it was removed meanwhile
		case ivd.Corrupt, ivd.Unsupported: // it is larger than any slot
		default:
			if err != nil {
				return KeyList{}, err
			}
			s.Slot, s.Unknown = c.readSlot(o, l)
		}
		l.Slots = append(l.Slots, s)
	}
	return l, nil
}

// readSlot reads a slot, which must be signed by the ring's root.
func (c *Keychain) readSlot(o store.Object, l KeyList) (format.Slot, error) {
	if slotNumber(o.Name) == 0 {
		return format.Slot{}, ivd.Errorf(ivd.Unsupported, "%s is no name of a slot", o.Name)
	}
	s, err := format.ReadSlot(o.Body, c.r.at(o.Name))
	if err == nil && l.NoRing == nil {
		_, err = format.Unprotect(o.Body, format.SlotMagic, format.RootOnly(l.Ring.Root))
	}
	if err != nil {
		return format.Slot{}, err
	}
	return *s, nil
}

func slotName(number int) store.Name { return store.Name(slotDir + strconv.Itoa(number)) }

// slotNumber is the number in a slot's name; 0 where it is none.
func slotNumber(name store.Name) int {
	n, err := strconv.Atoi(strings.TrimPrefix(string(name), slotDir))
	if err != nil || n < 1 || slotName(n) != name {
		return 0
	}
	return n
}

// master opens all keys with what has opened the slot, and returns the ring that they were
// read from. Kind Denied: no slot was opened.
func (c *Keychain) master(ctx context.Context) (*keys.Master, store.Object, error) {
	if c.opened.name == "" {
		return nil, store.Object{}, &ivd.Error{Kind: ivd.Denied, Err: fmt.Errorf("keys are changed by who opens a slot"), Remedy: "give a passphrase or a key file: --passphrase-file, or repository.passphrase_file"}
	}
	info, _, err := c.r.refresh(ctx)
	if err == nil {
		err = info.Allows(Writing)
	}
	if err != nil {
		return nil, store.Object{}, err
	}
	o, err := c.r.get(ctx, ringName, maxRing)
	if err != nil {
		return nil, o, err
	}
	m, err := c.r.master(c.opened.content, o.Body)
	if err != nil {
		return nil, o, err
	}
	if now, seen := m.PublicRing().Generation, c.r.RingGeneration(); now < seen { // it was read a moment ago
		return nil, o, c.r.olderRing(now, seen)
	}
	return m, o, nil
}
