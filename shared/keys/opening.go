package keys

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// Opening is what a person or a program opens a slot with: a passphrase, a key file, or
// what a recovery sheet says. It prints as [secret] everywhere.
type Opening struct {
	kind   format.SlotKind
	secret ivd.Secret // its bytes
	hint   string     // what else it may be, for who is told that it opens nothing
	pins   pins
}

// pins are what an opening says of its repository; zero values say nothing.
type pins struct {
	repository string
	domain     ivd.DomainID
	root       ivd.KeyID
}

// ReadOpening tells by its content what a text is: the content of a key file, the code
// of a recovery sheet, its four lines as they were typed, or else a passphrase. Kind
// Invalid: it is damaged, or something else.
func ReadOpening(text ivd.Secret) (Opening, error) {
	plain := strings.TrimSpace(text.Reveal())
	switch {
	case strings.HasPrefix(plain, "{") && strings.Contains(plain, `"ivd_key_file"`):
		f, err := DecodeFile([]byte(plain))
		if err != nil {
			return Opening{}, err
		}
		return f.Opening(), nil
	case strings.HasPrefix(plain, "{") && strings.Contains(plain, `"ivd_backup_key"`):
		return Opening{}, &ivd.Error{Kind: ivd.Invalid, Err: fmt.Errorf("it is a coordinator's export and opens no slot"), Remedy: "name that file as repository.backup_key_file, and as repository.passphrase_file one with the passphrase or a key file"}
	case strings.HasPrefix(strings.ToUpper(plain), recoveryMark):
		r, err := parseRecovery(plain)
		if err != nil {
			return Opening{}, err
		}
		return r.Opening(), nil
	}
	secret, like, err := format.ParseRecovery(plain)
	if err == nil {
		return Recovery{Secret: secret}.Opening(), nil
	}
	o := Passphrase(text)
	if like { // a passphrase may look like one
		o.hint = fmt.Sprintf("; if it is the secret of a recovery sheet, it is %v", err)
	}
	return o, nil
}

// parseRecovery reads the code of a recovery sheet.
func parseRecovery(text string) (Recovery, error) {
	parts := strings.Split(text, ":")
	if len(parts) < 2 || parts[1] != "1" {
		return Recovery{}, &ivd.Error{Kind: ivd.Unsupported, Err: fmt.Errorf("the code of a recovery sheet of another version"), Remedy: "use a release of ivd that knows this format"}
	}
	if len(parts) != 5 {
		return Recovery{}, ivd.Errorf(ivd.Invalid, "the code of a recovery sheet has %d parts, want 5", len(parts))
	}
	r := Recovery{Repository: strings.ToLower(parts[2])}
	if err := r.Root.UnmarshalText([]byte(strings.ToLower(parts[3]))); err != nil || r.Root.IsZero() {
		return Recovery{}, ivd.Errorf(ivd.Invalid, "the code of a recovery sheet: its fourth part is no root key's id") // it may be the secret
	}
	var err error
	if r.Secret, _, err = format.ParseRecovery(parts[4]); err != nil {
		return Recovery{}, fmt.Errorf("the code of a recovery sheet: %w", err)
	}
	return r, nil
}

// Passphrase is the opening that a passphrase is.
func Passphrase(p ivd.Secret) Opening { return Opening{kind: format.PassphraseSlot, secret: p} }

// Opening is the opening that a key file is.
func (f File) Opening() Opening {
	return Opening{kind: format.KeyFileSlot, secret: ivd.Secret(f.Secret), pins: pins{f.Repository, f.Domain, format.KeyOf(f.Root)}}
}

// Opening is the opening that a recovery sheet is.
func (r Recovery) Opening() Opening {
	return Opening{kind: format.KeyFileSlot, secret: ivd.Secret(r.Secret.Reveal()), pins: pins{repository: r.Repository, root: r.Root}}
}

// Kind is the kind of slot that it opens.
func (o Opening) Kind() format.SlotKind { return o.kind }

// Fits refuses a repository that the opening was not made for, with kind Denied.
func (o Opening) Fits(repository string, domain ivd.DomainID, root ivd.KeyID) error {
	p := o.pins
	refused := func(what string, of, here any, remedy string) error {
		return &ivd.Error{Kind: ivd.Denied, Err: fmt.Errorf("the key is of %s %s, and here is %s %s", what, of, what, here), Remedy: remedy}
	}
	const changed = "take a key file or a recovery sheet that was made of this one; where there is none, find out who changed repo.json"
	switch {
	case p.repository != "" && p.repository != repository:
		return refused("repository", p.repository, repository, "correct repository.url, or take what opens this one: `ivd repo key list` shows it; where neither is wrong, find out who changed repo.json")
	case !p.domain.IsZero() && p.domain != domain:
		return refused("domain", p.domain, domain, changed)
	case !p.root.IsZero() && p.root != root:
		return refused("root key", p.root, root, changed)
	}
	return nil
}

// Open opens a slot's object. Kind Denied: it is another's slot.
func (o Opening) Open(object []byte, at format.At) (format.SlotContent, error) {
	s, err := format.ReadSlot(object, at)
	if err != nil {
		return format.SlotContent{}, err
	}
	if s.Kind != o.kind { // nothing is stretched in vain
		return format.SlotContent{}, ivd.Errorf(ivd.Denied, "%s opens with another kind of secret: %s", at.Object, s.Kind)
	}
	return format.OpenSlot(object, at, []byte(o.secret.Reveal()))
}

// Close is the object of a slot that the opening opens.
func (o Opening) Close(m *Master, s format.Slot) ([]byte, error) {
	s.Kind = o.kind
	return m.Slot(s, []byte(o.secret.Reveal()))
}

// Same reports whether both open the same slots.
func (o Opening) Same(as Opening) bool {
	return o.kind == as.kind && subtle.ConstantTimeCompare([]byte(o.secret.Reveal()), []byte(as.secret.Reveal())) == 1
}

// ErrNoSlot is in the chain of the error of a secret that opens no slot of a repository.
var ErrNoSlot = errors.New("no slot below keys/ opens with this")

// Refused is why no slot was opened.
func (o Opening) Refused() error {
	what := "passphrase"
	if o.kind == format.KeyFileSlot {
		what = "key"
	}
	return fmt.Errorf("%w %s%s", ErrNoSlot, what, o.hint)
}

func (o Opening) String() string { return o.secret.String() }

// GoString keeps it out of %#v.
func (o Opening) GoString() string { return o.secret.String() }
