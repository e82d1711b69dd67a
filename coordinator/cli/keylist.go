package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ivdmover/coordinator/cli/text"
	repoformat "ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/telemetry"
)

// shownKeys are a repository's keys as they are printed.
type shownKeys struct {
	Repository string         `json:"repository"`
	Root       ivd.KeyID      `json:"root"`
	Generation uint64         `json:"ring_generation"`
	Slots      []shownSlot    `json:"slots"`
	Signers    []shownSigner  `json:"signers"`
	DataKeys   []shownDataKey `json:"data_keys"` // the last one is what new writers seal to
	Failure    *ivd.Failure   `json:"failure,omitempty"`
}

type shownSlot struct {
	Number  int                 `json:"number"`
	Object  string              `json:"object"`
	Kind    repoformat.SlotKind `json:"kind,omitempty"`
	Name    string              `json:"name,omitempty"`
	Created *time.Time          `json:"created,omitempty"`
	Argon2  *shownArgon2        `json:"argon2,omitempty"`
	Failure *ivd.Failure        `json:"failure,omitempty"`
}

type shownArgon2 struct {
	Passes  uint32 `json:"passes"`
	Memory  int64  `json:"memory"` // bytes
	Threads uint8  `json:"threads"`
}

type shownSigner struct {
	ID      ivd.KeyID         `json:"id"`
	Name    string            `json:"name"`
	Roles   []repoformat.Role `json:"roles"`
	Created time.Time         `json:"created"`
	Removed *time.Time        `json:"removed"`
}

type shownDataKey struct {
	ID      ivd.KeyID `json:"id"`
	Created time.Time `json:"created"`
}

func (a *app) keyList() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "list",
		Short: "List what opens the repository, and who signs in it",
		Long: `Lists the slots of an encrypted repository, its signing keys with their roles, and its
data keys, of which new writers take the last. No passphrase is needed: without one, the
list is checked by the root key that repo.json names. A slot that cannot be read is
named below the list, and the exit code is 3.`,
		Example: `  ivd repo key list --config /etc/ivd/ivd.yaml
  ivd repo key list --config /etc/ivd/ivd.yaml -o json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			chain, cfg, err := openLocked(cmd.Context(), file)
			if err != nil {
				return err
			}
			l, err := chain.List(cmd.Context())
			if err != nil {
				return err
			}
			own := chain.Info().Domain
			if name := cfg.Domain; name != "" && l.NoRing == nil {
				d, err := repo.DomainNamed(l.Ring, name)
				if err != nil {
					return err
				}
				own = d.Domain
			}
			shown, not := showKeys(chain, l, own)
			return a.showList(shown, shown.write, not, "cannot be read")
		},
	}
	withConfig(c, &file)
	return a.withOutput(c)
}

func showKeys(chain *repo.Keychain, l repo.KeyList, own ivd.DomainID) (shownKeys, unlisted) {
	v := shownKeys{Repository: chain.Info().ID, Root: chain.Info().Root, Generation: l.Ring.Generation, Slots: []shownSlot{}, Signers: []shownSigner{}, DataKeys: []shownDataKey{}}
	var not unlisted
	for _, s := range l.Slots {
		x := shownSlot{Number: s.Number, Object: string(s.Object)}
		if s.Unknown != nil {
			x.Failure = ivd.FailureOf(s.Unknown)
			not.add(x.Object, x.Failure)
		} else {
			x.Kind, x.Name, x.Created = s.Slot.Kind, s.Slot.Name, &s.Slot.Created
			if p := s.Slot.Argon2; s.Slot.Kind == repoformat.PassphraseSlot {
				x.Argon2 = &shownArgon2{p.Time, int64(p.Memory) << 10, p.Threads}
			}
		}
		v.Slots = append(v.Slots, x)
	}
	if l.NoRing != nil {
		v.Failure = ivd.FailureOf(l.NoRing)
		not.add("keys/ring", v.Failure)
	}
	for _, s := range l.Ring.Signers {
		x := shownSigner{ID: s.ID, Name: s.Name, Roles: s.Roles, Created: s.Created}
		if !s.Removed.IsZero() {
			x.Removed = &s.Removed
		}
		v.Signers = append(v.Signers, x)
	}
	for _, d := range l.Ring.Domains {
		if d.Domain == own {
			for _, k := range d.Data {
				v.DataKeys = append(v.DataKeys, shownDataKey{k.ID, k.Created})
			}
		}
	}
	return v, not
}

func (v shownKeys) write(w io.Writer) error {
	slots := &text.Table{Columns: []text.Column{text.Right("SLOT"), text.Left("NAME"), text.Left("OPENS WITH"), text.Left("ADDED"), text.Left("PARAMETERS")}}
	for _, s := range v.Slots {
		if s.Failure != nil {
			slots.Row(fmt.Sprint(s.Number), "?", "?", "?", "?")
			continue
		}
		parameters := "-"
		if p := s.Argon2; p != nil {
			parameters = fmt.Sprintf("Argon2id: %d passes, %s, %d threads", p.Passes, telemetry.Bytes(p.Memory), p.Threads)
		}
		slots.Row(fmt.Sprint(s.Number), s.Name, strings.ReplaceAll(string(s.Kind), "_", " "), text.Time(*s.Created), parameters)
	}
	signers := &text.Table{Columns: []text.Column{text.Left("SIGNER"), text.Left("NAME"), text.Left("MAY SIGN AS"), text.Left("ADDED"), text.Left("REMOVED")}}
	for _, s := range v.Signers {
		roles, removed := make([]string, len(s.Roles)), "-"
		for i, r := range s.Roles {
			roles[i] = string(r)
		}
		if s.Removed != nil {
			removed = text.Time(*s.Removed)
		}
		signers.Row(s.ID.String(), s.Name, strings.Join(roles, ", "), text.Time(s.Created), removed)
	}
	data := &text.Table{Columns: []text.Column{text.Left("DATA KEY"), text.Left("ADDED"), text.Left("USED BY")}}
	for i, k := range v.DataKeys {
		used := "what was written before"
		if i == len(v.DataKeys)-1 {
			used = "new writers"
		}
		data.Row(k.ID.String(), text.Time(k.Created), used)
	}
	for i, t := range []*text.Table{slots, signers, data} {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if err := t.Write(w); err != nil {
			return err
		}
	}
	return nil
}

// keyNamed is what a person means by the name, the number or the id of a slot or a signer:
// one of the two.
func keyNamed(l repo.KeyList, name string) (slot int, signer repoformat.Signer, err error) {
	var found []string
	for _, s := range l.Slots {
		if s.Number > 0 && (fmt.Sprint(s.Number) == name || s.Unknown == nil && s.Slot.Name == name) {
			slot = s.Number
			found = append(found, fmt.Sprintf("slot %d", s.Number))
		}
	}
	for _, s := range l.Ring.Signers {
		byID := len(name) >= leastID && strings.HasPrefix(s.ID.String(), strings.ToLower(name))
		if byID || s.Removed.IsZero() && s.Name == name {
			signer = s
			found = append(found, "signer "+s.ID.String())
		}
	}
	switch len(found) {
	case 1:
		return slot, signer, nil
	case 0:
		return 0, repoformat.Signer{}, &ivd.Error{Kind: ivd.NotFound, Err: fmt.Errorf("no slot and no signer is called %q", name), Remedy: "see `ivd repo key list`"}
	}
	slices.Sort(found)
	return 0, repoformat.Signer{}, &ivd.Error{Kind: ivd.Unmet, Err: fmt.Errorf("%q is each of %s", name, strings.Join(found, ", ")), Remedy: "give the number or the id"}
}

// leastID is how many digits of a signer's id are taken for it.
const leastID = 8
