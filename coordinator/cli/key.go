package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"ivdmover/coordinator/keyring"
	"ivdmover/shared/config"
	repoformat "ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/keys"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/open"
)

func (a *app) repoKey() *cobra.Command {
	c := &cobra.Command{
		Use:   "key",
		Short: "Look after what opens an encrypted repository, and who signs in it",
		Long: `An encrypted repository has slots, each of which opens it: with a passphrase, with a key
file, or with what a recovery sheet says. It has a ring with the signing keys of those
who write to it, and with the data keys that their packs are sealed to.

These commands work on the store itself and need no ivd serve. Those that change
something open a slot: with what --passphrase-file or repository.passphrase_file names,
or with what a person types. That may be a passphrase, a key file, or the secret of a
recovery sheet, wherever a passphrase is asked for: it is known by its content.`,
		Example: `  ivd repo key list --config /etc/ivd/ivd.yaml
  ivd repo key add --config /etc/ivd/ivd.yaml --name anna
  ivd repo key sheet --config /etc/ivd/ivd.yaml --output sheet.html
  ivd repo key export --config /etc/ivd/ivd.yaml --backup --name coordinator-2 --output coordinator-2.key`,
	}
	c.AddCommand(a.keyList(), a.keyAdd(), a.keyRemove(), a.keyRotate(), a.keyExport(), a.keySheet())
	return c
}

// keyOptions are those of every command that changes keys.
type keyOptions struct {
	config     string
	passphrase string // a file; empty: the configuration's, or a person
}

// withKeys adds their flags.
func withKeys(c *cobra.Command, o *keyOptions) *cobra.Command {
	withConfig(c, &o.config)
	c.Flags().StringVar(&o.passphrase, "passphrase-file", "", "the `FILE` with what opens the repository now: a passphrase, a key file, or what a recovery sheet says; else repository.passphrase_file, or it is asked for")
	_ = c.MarkFlagFilename("passphrase-file") // fails only where there is no such flag
	return c
}

// openKeys opens a slot of the repository that a configuration names, for a change. Keys
// that are not what this host has seen of them are not changed.
func (a *app) openKeys(ctx context.Context, o keyOptions) (*repo.Keychain, config.Repository, error) {
	cfg, err := loadForStore(o.config)
	if err != nil {
		return nil, config.Repository{}, err
	}
	c := cfg.Repository
	if o.passphrase != "" {
		c.PassphraseFile = o.passphrase
	}
	c.BackupKeyFile = "" // it changes no keys
	k, err := keyring.Read(c, slog.Default())
	if err != nil {
		return nil, c, err
	}
	st, err := open.Open(ctx, c)
	if err != nil {
		return nil, c, err
	}
	if k.Passphrase == "" {
		if _, err := repo.OpenKeychain(ctx, st, k); err != nil { // before anybody is asked
			return nil, c, err
		}
		ask := a.askPassphrase()
		if ask == nil {
			return nil, c, &ivd.Error{
				Kind: ivd.Invalid, Err: errors.New("keys are changed by who opens the repository, and there is no terminal to ask for its passphrase"),
				Remedy: "give --passphrase-file, or set repository.passphrase_file",
			}
		}
		if k.Passphrase, err = ask(ctx); err != nil {
			return nil, c, err
		}
	}
	chain, err := repo.OpenKeychain(ctx, st, k)
	if errors.Is(err, keys.ErrNoSlot) && (o.passphrase != "" || c.PassphraseFile == "") {
		err = &ivd.Error{Kind: ivd.Denied, Err: err, Remedy: "give what opens one of the slots that `ivd repo key list` shows"}
	}
	if err == nil { // a change of an earlier ring would undo what came after it
		err = asSeen(ctx, cfg.StateDir, chain.Repository())
	}
	return chain, c, err
}

// openLocked opens the keychain of the repository that a configuration names without any
// key, to list what is in it.
func openLocked(ctx context.Context, file string) (*repo.Keychain, config.Repository, error) {
	cfg, err := loadForStore(file)
	if err != nil {
		return nil, config.Repository{}, err
	}
	st, err := whatIsThere(ctx, cfg.Repository)
	if err != nil {
		return nil, cfg.Repository, err
	}
	chain, err := repo.OpenKeychain(ctx, st, repo.Keys{Root: cfg.Repository.Root.ID()})
	return chain, cfg.Repository, err
}

// newPassphrase is the passphrase of a slot that is added: of a file, or of a person.
func (a *app) newPassphrase(ctx context.Context, file string) (keys.Opening, error) {
	var secret ivd.Secret
	var err error
	if file != "" {
		if secret, err = config.ReadSecret(file, slog.Default()); err == nil {
			a.warnWeak(secret)
		}
	} else if ask := a.askNewPassphrase(); ask != nil {
		secret, err = ask(ctx)
	} else {
		err = &ivd.Error{Kind: ivd.Invalid, Err: errors.New("there is no terminal to ask for the new passphrase"), Remedy: "give --new-passphrase-file, or --key-file for a key file that is made"}
	}
	if err != nil {
		return keys.Opening{}, err
	}
	o, err := keys.ReadOpening(secret)
	if err != nil || o.Kind() != repoformat.PassphraseSlot {
		return keys.Opening{}, &ivd.Error{Kind: ivd.Invalid, Err: errors.New("this would not be taken for a passphrase, but for a key file or a recovery sheet"), Remedy: "choose another one"}
	}
	return o, nil
}

// called completes an error of a slot that is there, and whose secret nobody has.
func called(s repo.StoredSlot, err error) error {
	if err == nil {
		return nil
	}
	return &ivd.Error{Err: fmt.Errorf("slot %d was added, and what opens it could not be written: %w", s.Number, err), Remedy: fmt.Sprintf("remove it with `ivd repo key remove %d`", s.Number)}
}
