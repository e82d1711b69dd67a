package repo

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/keys"
	"ivdmover/shared/store"
)

const (
	signatureName store.Name = "repo.sig"
	maxSignature             = 64 << 10
)

// unsignedRemedy is what can be done about a repo.json that the root has not signed.
const unsignedRemedy = "find out who changed it; a person with the passphrase makes the present state count by `ivd repo adopt`"

// checkSigned returns repo.json as it is now, which the root has signed. It may have
// been replaced since it was read as o: then it is read again.
func (r *Repository) checkSigned(ctx context.Context, o store.Object) (store.Object, error) {
	for {
		sum := format.Sum(o.Body)
		if r.knownSigned(sum) {
			return o, nil
		}
		s, _, err := r.readSigned(ctx)
		if err != nil {
			return o, err
		}
		if s.signs(sum) {
			r.knowSigned(sum)
			return o, nil
		}
		now, err := r.get(ctx, repoName, maxInfo)
		if err != nil {
			return o, err
		}
		if bytes.Equal(now.Body, o.Body) {
			return o, &ivd.Error{Kind: ivd.Corrupt, Err: fmt.Errorf("%s is none that the root key has signed in %s", repoName, signatureName), Remedy: unsignedRemedy}
		}
		o = now
	}
}

// state is one of repo.json.
type state struct {
	Info
	body []byte
}

// states are what repo.sig signs.
type states struct{ format.Signed }

func (s states) signs(sum ivd.ContentID) bool {
	return slices.ContainsFunc(s.States, func(state format.SignedState) bool { return state.Sum == sum })
}

// readSigned reads repo.sig. Kind Corrupt, too: it is missing.
func (r *Repository) readSigned(ctx context.Context) (states, store.Object, error) {
	o, err := r.get(ctx, signatureName, maxSignature)
	if ivd.KindOf(err) == ivd.NotFound {
		return states{}, o, &ivd.Error{Kind: ivd.Corrupt, Err: fmt.Errorf("%s is missing, which signs %s", signatureName, repoName), Remedy: unsignedRemedy}
	}
	if err != nil {
		return states{}, o, err
	}
	s, err := decode(ctx, r, o, format.SignedMagic, format.DecodeSigned)
	if err != nil {
		e := &ivd.Error{Op: string(signatureName), Err: err}
		if ivd.KindOf(err) == ivd.Corrupt {
			e.Remedy = unsignedRemedy
		}
		return states{}, o, e
	}
	return states{s}, o, nil
}

// signFirst signs the first state of repo.json, which is stored afterwards.
func signFirst(ctx context.Context, st store.Store, m *keys.Master, first state) error {
	head := format.Head{Repository: first.ID, Domain: first.Domain, Object: string(signatureName), Program: program()}
	body, err := m.Signed(format.Signed{Head: head, States: []format.SignedState{{Generation: first.Generation, Sum: format.Sum(first.body)}}})
	if err != nil {
		return err
	}
	return brokenOff(signatureName, create(ctx, st, signatureName, body))
}

// knownSigned reports whether repo.json with that Sum was found to be signed before.
func (r *Repository) knownSigned(sum ivd.ContentID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.signed == sum
}

func (r *Repository) knowSigned(sum ivd.ContentID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.signed = sum
}

// sign has repo.sig say that the root signs the next state of repo.json, beside the
// present one, if it counts, and those that others may be about to store. Repo.json was
// read before, of a generation as far as that counts. Kind Conflict: somebody else has
// changed repo.sig meanwhile.
func (r *Repository) sign(ctx context.Context, generation uint64, present []byte, next state) error {
	m := r.secrecy.root
	if m == nil {
		return &ivd.Error{Kind: ivd.Denied, Err: fmt.Errorf("this process does not have the root key, which signs %s", repoName), Remedy: "do it where repository.passphrase_file is set"}
	}
	s, o, err := r.readSigned(ctx)
	lost := err != nil
	if kind := ivd.KindOf(err); lost && (kind != ivd.Corrupt || r.unsigned == nil) {
		return err
	}
	// What is older than the present state was replaced, and is not to come back. Of the
	// others any may be on its way, by who reads the present state as well.
	s.States = slices.DeleteFunc(s.States, func(old format.SignedState) bool { return old.Generation < generation })
	add := func(generation uint64, body []byte) {
		if sum := format.Sum(body); !s.signs(sum) {
			s.States = append(s.States, format.SignedState{Generation: generation, Sum: sum})
		}
	}
	if r.unsigned == nil { // what somebody else has made is not signed, whatever generation it says
		add(generation, present)
	}
	add(next.Generation, next.body)
	s.Head = r.head(signatureName)
	body, err := m.Signed(s.Signed)
	if err != nil {
		return err
	}
	if lost && o.Name == "" {
		err = create(ctx, r.st, signatureName, body)
	} else {
		err = r.st.Replace(ctx, o, body)
	}
	if err == nil {
		return nil
	}
	// As of repo.json itself, what is stored now decides.
	if now, readErr := r.get(ctx, signatureName, maxSignature); readErr == nil && bytes.Equal(now.Body, body) {
		return nil
	}
	if ivd.KindOf(err) == ivd.Exists {
		err = &ivd.Error{Kind: ivd.Conflict, Err: err}
	}
	return err
}
