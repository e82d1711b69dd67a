// Package keyring opens the repository that a configuration names, with the keys that
// it names. Every program of the coordinator's side opens its repository here.
//
// It promises that a secret is in no error and no log, that an encrypted repository is
// never opened as a plain one, and that a repository which is not the one that
// repository.root or an export pins is refused. It keeps nothing.
package keyring

import (
	"context"
	"errors"
	"log/slog"

	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
	"ivdmover/shared/keys"
	"ivdmover/shared/repo"
	"ivdmover/shared/store"
)

// Ask asks a person for the passphrase.
type Ask func(context.Context) (ivd.Secret, error)

// Options are what a program adds to the configuration.
type Options struct {
	Ask      Ask  // nil: nobody can be asked
	Adopting bool // it is opened to be adopted: see repo.Keys
	Log      *slog.Logger
}

// Open opens the repository on a store. Where it is encrypted, and the configuration names
// no keys for what is to be done, a person is asked. Kinds as of repo.OpenWith.
func Open(ctx context.Context, st store.Store, c config.Repository, o Options) (*repo.Repository, error) {
	k, err := Read(c, o.Log)
	if err != nil {
		return nil, err
	}
	k.Adopting = o.Adopting
	if o.Adopting && k.Export != nil && k.Passphrase == "" {
		if o.Ask == nil {
			return nil, &ivd.Error{Kind: ivd.Denied, Err: errors.New("an export of the keys is for backups, and adopting needs the passphrase"), Remedy: "set repository.passphrase_file"}
		}
		return asking(ctx, st, k, o.Ask)
	}
	r, err := repo.OpenWith(ctx, st, k)
	if errors.Is(err, repo.ErrEncrypted) && o.Ask != nil {
		return asking(ctx, st, k, o.Ask)
	}
	return r, err
}

// asking opens the repository with what a person says.
func asking(ctx context.Context, st store.Store, k repo.Keys, ask Ask) (r *repo.Repository, err error) {
	if k.Passphrase, err = ask(ctx); err != nil {
		return nil, err
	}
	r, err = repo.OpenWith(ctx, st, k)
	if errors.Is(err, keys.ErrNoSlot) {
		err = &ivd.Error{Kind: ivd.Denied, Err: err, Remedy: "run the command again, with what opens one of the slots that `ivd repo key list` shows"}
	}
	return r, err
}

// Read reads the keys that a configuration names.
func Read(c config.Repository, log *slog.Logger) (k repo.Keys, err error) {
	k.Root, k.Domain = c.Root.ID(), c.Domain
	if c.PassphraseFile != "" {
		if k.Passphrase, err = config.ReadSecret(c.PassphraseFile, log); err != nil {
			return k, err
		}
	}
	if c.BackupKeyFile != "" {
		k.Export, err = readExport(c.BackupKeyFile, log)
	}
	return k, err
}

func readExport(path string, log *slog.Logger) (*keys.Export, error) {
	b, err := config.ReadSecretFile(path, log)
	if err != nil {
		return nil, err
	}
	e, err := keys.DecodeExport(b)
	if err != nil {
		remedy := ivd.RemedyOf(err)
		if remedy == "" {
			remedy = "have the keys exported again, with `ivd repo key export --backup`, by who has the passphrase"
		}
		return nil, &ivd.Error{Kind: ivd.Invalid, Op: "repository.backup_key_file " + path, Err: err, Remedy: remedy}
	}
	return &e, nil
}
