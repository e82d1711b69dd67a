package repo

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/keys"
	"ivdmover/shared/store"
)

// KeyFile makes a key file for a slot of that name, which AddSlot adds.
func (c *Keychain) KeyFile(ctx context.Context, name string) (keys.File, error) {
	m, _, err := c.master(ctx)
	if err != nil {
		return keys.File{}, err
	}
	return m.File(c.r.info.Domain, name, c.r.Now()), nil
}

// AddSlot adds a slot that opens with what o is, and opens it once to see that it does.
// Argon2 is that of a passphrase; zero: format.DefaultArgon2. The name is for people, who
// remove the slot by it: kind Exists where another slot or signer has it. A death or a
// lost answer between leaves a slot that is whole, or none.
func (c *Keychain) AddSlot(ctx context.Context, name string, o keys.Opening, argon2 format.Argon2) (StoredSlot, error) {
	m, _, err := c.master(ctx)
	if err != nil {
		return StoredSlot{}, err
	}
	l, err := c.List(ctx)
	if err != nil {
		return StoredSlot{}, err
	}
	if err := l.free(name); err != nil {
		return StoredSlot{}, err
	}
	s := format.Slot{Name: name, Created: c.r.Now().UTC().Truncate(time.Second), Kind: o.Kind()}
	if s.Kind == format.PassphraseSlot {
		s.Argon2 = cmp.Or(argon2, format.DefaultArgon2)
	}
	number := 1
	for _, other := range l.Slots {
		number = max(number, other.Number+1)
	}
	var body []byte // of that number: the same however often it is stored, as an answer may be lost
	err = replaceAgain.Do(ctx, func(ctx context.Context) (err error) {
		if body == nil {
			s.Head = c.r.head(slotName(number))
			if body, err = o.Close(m, s); err != nil {
				return err
			}
		}
		if err = c.createSlot(ctx, number, body); ivd.KindOf(err) == ivd.Exists {
			number, body = number+1, nil // somebody else adds one, too
			return &ivd.Error{Kind: ivd.Conflict, Err: err}
		}
		return err
	})
	added := StoredSlot{Number: number, Object: slotName(number), Slot: s}
	if err != nil {
		return added, fmt.Errorf("add a slot: %w", err)
	}
	return added, c.proveSlot(ctx, added, o)
}

// createSlot stores a slot's object under a number that is free. Kind Exists: it is not.
func (c *Keychain) createSlot(ctx context.Context, number int, body []byte) error {
	err := create(ctx, c.r.st, slotName(number), body)
	if err == nil {
		return nil
	}
	// Whatever the answer was, what is stored now decides.
	o, readErr := c.r.get(ctx, slotName(number), maxSlot)
	switch kind := ivd.KindOf(readErr); {
	case kind == ivd.NotFound:
		return err
	case kind == ivd.Corrupt: // it is larger than any slot
	case readErr != nil: // it may be taken by this one
		return readErr
	case bytes.Equal(o.Body, body):
		return nil
	}
	return &ivd.Error{Kind: ivd.Exists, Err: fmt.Errorf("%s is taken", slotName(number))}
}

// proveSlot opens a slot as it is stored.
func (c *Keychain) proveSlot(ctx context.Context, s StoredSlot, by keys.Opening) error {
	o, err := c.r.get(ctx, s.Object, maxSlot)
	if err == nil {
		_, err = by.Open(o.Body, c.r.at(s.Object))
	}
	if err != nil {
		return &ivd.Error{Err: fmt.Errorf("%s was stored and does not open: %w", s.Object, err), Remedy: fmt.Sprintf("look at the store, then remove slot %d", s.Number)}
	}
	return nil
}

// free refuses a name that a slot or a signer has, or that could be taken for a number.
func (l KeyList) free(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	const remedy = "choose another name"
	for _, s := range l.Slots {
		if s.Unknown == nil && s.Slot.Name == name {
			return &ivd.Error{Kind: ivd.Exists, Err: fmt.Errorf("slot %d has the name %q", s.Number, name), Remedy: remedy}
		}
	}
	for _, s := range l.Ring.Signers {
		if s.Removed.IsZero() && s.Name == name {
			return &ivd.Error{Kind: ivd.Exists, Err: fmt.Errorf("signer %s has the name %q", s.ID, name), Remedy: remedy}
		}
	}
	return nil
}

// maxName bounds the name of a slot or a signer, in signs.
const maxName = 64

func checkName(name string) error {
	switch {
	case name == "" || strings.TrimSpace(name) != name || utf8.RuneCountInString(name) > maxName || !utf8.ValidString(name):
		return ivd.Errorf(ivd.Invalid, "name %q: want 1 to %d signs, no space around them", name, maxName)
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return ivd.Errorf(ivd.Invalid, "name %q: want signs that can be seen", name)
	case !strings.ContainsFunc(name, func(r rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEF", r) }):
		return ivd.Errorf(ivd.Invalid, "name %q: want one that is no number or id", name)
	}
	return nil
}

// RemoveSlot removes a slot, whether it can be read or not. The one that has opened this
// keychain stays, so one remains that opens for sure. Kind NotFound: there is no such
// slot. To remove a slot revokes nobody who has opened it: what it held stays in use.
func (c *Keychain) RemoveSlot(ctx context.Context, number int) error {
	if _, _, err := c.master(ctx); err != nil {
		return err
	}
	l, err := c.List(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(l.Slots, func(s StoredSlot) bool { return s.Number == number && number > 0 })
	if i < 0 {
		return ivd.Errorf(ivd.NotFound, "there is no slot %d", number)
	}
	if l.Slots[i].Opened {
		return &ivd.Error{Kind: ivd.Unmet, Err: fmt.Errorf("slot %d is the one that was just opened, and the only one of which it is known that it opens", number), Remedy: "give what opens another slot: --passphrase-file"}
	}
	if !slices.ContainsFunc(l.Slots, func(s StoredSlot) bool { return s.Opened }) {
		return c.putBack(ctx)
	}
	name := l.Slots[i].Object
	deleted := replaceAgain.Do(ctx, func(ctx context.Context) error { return c.r.st.Delete(ctx, name) })
	// Two that remove each other's slot must not both succeed, whatever is known of this
	// deletion: its answer may be lost.
	switch stands, err := c.stands(ctx, c.opened.name); {
	case err != nil:
		return &ivd.Error{
			Err:    fmt.Errorf("slot %d may be removed, and whether slot %d, which was just opened, is still there could not be asked: %w", number, slotNumber(c.opened.name), err),
			Remedy: "see with `ivd repo key list` which slots there are, and do it again",
		}
	case !stands:
		return c.putBack(ctx)
	case deleted == nil:
		return nil
	}
	if stands, err := c.stands(ctx, name); stands || err != nil { // where it is not known, it is told to have failed
		return fmt.Errorf("remove slot %d: %w", number, deleted)
	}
	return nil
}

// stands reports whether an object is there. An error is no answer.
func (c *Keychain) stands(ctx context.Context, name store.Name) (stands bool, err error) {
	err = replaceAgain.Do(ctx, func(ctx context.Context) error {
		_, err := c.r.st.Stat(ctx, name)
		stands = err == nil
		if ivd.KindOf(err) == ivd.NotFound {
			return nil
		}
		return err
	})
	return stands, err
}

// putBack stores the slot again that has opened this keychain, and that is gone.
func (c *Keychain) putBack(ctx context.Context) error {
	number := slotNumber(c.opened.name)
	err := replaceAgain.Do(ctx, func(ctx context.Context) error { return c.createSlot(ctx, number, c.opened.body) })
	if err != nil {
		return fmt.Errorf("slot %d, which was just opened, was removed by somebody else meanwhile, and putting it back failed: %w", number, err)
	}
	return &ivd.Error{Kind: ivd.Conflict, Err: fmt.Errorf("slot %d, which was just opened, was removed by somebody else meanwhile, and was put back", number), Remedy: "see with `ivd repo key list` which slots there are, and remove it again with what opens another one"}
}
