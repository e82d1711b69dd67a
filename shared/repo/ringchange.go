package repo

import (
	"bytes"
	"context"
	"fmt"

	"ivdmover/shared/ivd"
	"ivdmover/shared/keys"
)

// Rotate gives the domain another data key, for the writers to come, and returns its id
// and the ring's generation. Nothing that is stored changes. Kind Conflict: somebody else
// has changed the ring at the same time, and nothing was rotated.
func (c *Keychain) Rotate(ctx context.Context) (ivd.KeyID, uint64, error) {
	m, err := c.changeRing(ctx, true, func(m *keys.Master) error { return m.Rotate(c.r.domain, c.r.Now()) })
	if err != nil {
		return ivd.KeyID{}, 0, fmt.Errorf("rotate the data key: %w", err)
	}
	ring := m.PublicRing()
	for _, d := range ring.Domains {
		if d.Domain == c.r.domain {
			return d.Data[len(d.Data)-1].ID, ring.Generation, nil
		}
	}
	return ivd.KeyID{}, 0, ivd.Errorf(ivd.NotFound, "%s has no domain %s", ringName, c.r.domain)
}

// Export makes what a coordinator needs that only backs up, with a signing key of its
// own, which the ring then knows by the name. Kind Exists: a signer or a slot has it.
func (c *Keychain) Export(ctx context.Context, name string) (keys.Export, error) {
	l, err := c.List(ctx)
	if err != nil {
		return keys.Export{}, err
	}
	var e keys.Export
	_, err = c.changeRing(ctx, false, func(m *keys.Master) (err error) {
		if err := (KeyList{Slots: l.Slots, Ring: m.PublicRing()}).free(name); err != nil {
			return err
		}
		e, err = m.Export(c.r.domain, name, c.r.Now())
		return err
	})
	if err != nil {
		return keys.Export{}, fmt.Errorf("export keys: %w", err)
	}
	return e, nil
}

// RemoveSigner takes a signing key's right to sign: its holder's next run is refused.
// What it has signed stays valid. Kind NotFound: there is no such signer, or it was
// removed before. Kind Unmet: it is the last one with one of its roles.
func (c *Keychain) RemoveSigner(ctx context.Context, id ivd.KeyID) error {
	_, err := c.changeRing(ctx, false, func(m *keys.Master) error { return m.RemoveSigner(id, c.r.Now()) })
	if err != nil {
		return fmt.Errorf("remove a signer: %w", err)
	}
	return nil
}

// changeRing reads the ring, has change change it, and stores it on the condition that it
// is still what was read. Where it is not, it begins again with what is there, or, of a
// change that is to happen once however many ask for it, gives up with kind Conflict.
// A death or a lost answer between leaves the ring as it was, or whole as it becomes.
func (c *Keychain) changeRing(ctx context.Context, once bool, change func(*keys.Master) error) (*keys.Master, error) {
	if c.opened.name != "" {
		if err := ProveReplace(ctx, c.r.st); err != nil {
			return nil, err
		}
	}
	var first, sent []byte
	var done *keys.Master
	var faster error
	err := replaceAgain.Do(ctx, func(ctx context.Context) error {
		m, was, err := c.master(ctx)
		switch {
		case err != nil:
			return err
		case sent != nil && bytes.Equal(was.Body, sent): // it has happened, whatever the answer was
			return nil
		case once && first != nil && !bytes.Equal(was.Body, first):
			faster = &ivd.Error{Kind: ivd.Conflict, Err: fmt.Errorf("somebody else has changed %s at the same time: it is of generation %d now", ringName, m.PublicRing().Generation), Remedy: "see with `ivd repo key list` whether anything is left to do"}
			return nil
		}
		first = was.Body
		if err := change(m); err != nil {
			return err
		}
		body, err := m.Ring()
		if err != nil {
			return err
		}
		done, sent = m, body
		return c.r.st.Replace(ctx, was, body)
	})
	if err == nil {
		err = faster
	}
	if err != nil {
		return nil, err
	}
	return done, nil
}

// raiseRing stores the ring of a repository that is adopted under a generation that is
// above one that somebody has seen, where its own is lower.
func (r *Repository) raiseRing(ctx context.Context, seen uint64) (RingAdopted, error) {
	root := r.secrecy.root
	if root == nil {
		return RingAdopted{}, nil
	}
	done := RingAdopted{Seen: seen}
	looked := false
	err := replaceAgain.Do(ctx, func(ctx context.Context) error {
		was, err := r.get(ctx, ringName, maxRing)
		if err != nil {
			return err
		}
		m, err := root.Reopen(was.Body, r.at(ringName))
		if err != nil {
			return err
		}
		done.Now = m.PublicRing().Generation
		if !looked {
			looked, done.Found = true, done.Now
		}
		if done.Now >= seen {
			return nil
		}
		m.Raise(seen)
		body, err := m.Ring()
		if err != nil {
			return err
		}
		done.Now = m.PublicRing().Generation
		return r.st.Replace(ctx, was, body)
	})
	return done, err
}
