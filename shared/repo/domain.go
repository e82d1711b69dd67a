package repo

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/keys"
)

// enter has the repository be that of a domain: the one that is named, or that the keys
// are of, which the ring must know. Kind NotFound: it does not.
func (r *Repository) enter(ctx context.Context, k Keys) error {
	if !r.info.sealed() {
		if k.Domain != "" && k.Domain != r.info.Domain.String() {
			return &ivd.Error{Kind: ivd.Unmet, Err: fmt.Errorf("domain %q: a plain repository has one domain", k.Domain), Remedy: "leave out repository.domain, or make an encrypted repository with `ivd repo init`"}
		}
		return nil
	}
	var held ivd.DomainID // by who has no passphrase
	switch {
	case k.Export != nil:
		held = k.Export.Domain
	case k.Grant != nil:
		held = k.Grant.Domain
	}
	if k.Domain == "" && (held.IsZero() || held == r.info.Domain) {
		return nil
	}
	ring, err := r.readRing(ctx)
	if err != nil {
		return err
	}
	if k.Domain == "" {
		if slices.ContainsFunc(ring.Domains, func(d format.Keyring) bool { return d.Domain == held }) {
			r.domain = held
		}
		return nil // else pinned says what is wrong
	}
	d, err := DomainNamed(ring, k.Domain)
	if err == nil && !held.IsZero() && held != d.Domain {
		err = &ivd.Error{Kind: ivd.Denied, Err: fmt.Errorf("repository.backup_key_file is of domain %s, and repository.domain %q is %s", held, k.Domain, d.Domain), Remedy: "correct one of them, or have keys exported of that domain with `ivd repo key export --backup`"}
	}
	if err == nil {
		r.domain = d.Domain
	}
	return err
}

// DomainNamed is the domain of a ring with a name, or with an id. Kind NotFound: there is
// none.
func DomainNamed(ring format.Ring, name string) (format.Keyring, error) {
	i := slices.IndexFunc(ring.Domains, func(d format.Keyring) bool {
		return d.Name != "" && d.Name == name || d.Domain.String() == name
	})
	if i < 0 {
		return format.Keyring{}, &ivd.Error{
			Kind: ivd.NotFound, Err: fmt.Errorf("the repository has no domain %q", name),
			Remedy: "see with `ivd repo domain list` which there are, or make it with `ivd repo domain add`",
		}
	}
	return ring.Domains[i], nil
}

// AddDomain makes a domain of that name, with keys of its own. Kind Exists: another one
// has the name. Kind Conflict: somebody else has changed the ring at the same time, and
// none was made.
func (c *Keychain) AddDomain(ctx context.Context, name string) (format.Keyring, uint64, error) {
	if err := checkName(name); err != nil {
		return format.Keyring{}, 0, err
	}
	if strings.HasPrefix(name, "-") {
		return format.Keyring{}, 0, ivd.Errorf(ivd.Invalid, "name %q: want one that begins with no dash", name)
	}
	m, err := c.changeRing(ctx, true, func(m *keys.Master) error {
		_, err := m.AddDomain(name, c.r.Now())
		return err
	})
	if err != nil {
		return format.Keyring{}, 0, fmt.Errorf("make a domain: %w", err)
	}
	d, err := DomainNamed(m.PublicRing(), name)
	return d, m.PublicRing().Generation, err
}

// Ring reads what is public of the ring, which must be signed by the root that repo.json
// names.
func (c *Keychain) Ring(ctx context.Context) (format.Ring, error) { return c.r.readRing(ctx) }

// knows reports whether the ring that was read last knows a domain.
func (r *Repository) knows(id ivd.DomainID) bool {
	a := r.access()
	return a != nil && a.HasDomain(id)
}
