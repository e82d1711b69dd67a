package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/serve"
	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/open"
	"ivdmover/shared/store/probe"
)

func (a *app) repoInit() *cobra.Command {
	var file string
	var chunk, pack, expected size
	var secret initSecret
	c := &cobra.Command{
		Use:   "init",
		Short: "Create the repository that the configuration names, once",
		Long: `Creates a repository in the bucket or the folder that repository.url names. It works
on the store itself and needs no ivd serve. An existing repository is never changed.

The repository is encrypted. Its passphrase is asked for on the terminal, twice; else it
is read from the file that --passphrase-file or repository.passphrase_file names. Who
loses it loses all restore points: nobody can read them without it. With --plain the
repository is not encrypted, and cannot be later.

A store that accepts a request which is older than its signature allows, or a second
creation of a name, is refused: what is committed would not be safe there. One that
cannot replace an object conditionally is told of, since ivd repo adopt needs that; so
is a bucket that keeps no versions, locks no objects, or checks no checksums. All of it
is tried by ivd repo check-store, whose verdict ivd serve goes by.`,
		Example: `  ivd repo init --config /etc/ivd/ivd.yaml
  ivd repo init --config /etc/ivd/ivd.yaml --passphrase-file /etc/ivd/repository.passphrase
  ivd repo init --config /etc/ivd/ivd.yaml --expected-size 200TiB`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o := repo.InitOptions{ChunkSize: int64(chunk), PackSize: int64(pack), ExpectedSize: int64(expected)}
			if err := o.Validate(); err != nil { // before anything is made
				return err
			}
			if secret.plain && secret.file != "" {
				return usagef("give --passphrase-file or --plain, not both")
			}
			cfg, err := loadForStore(file)
			if err != nil {
				return err
			}
			if err := secret.suits(cfg.Repository); err != nil {
				return err
			}
			info, err := a.makeRepository(cmd.Context(), cfg.Repository, o, secret)
			if err != nil {
				return err
			}
			return a.show(info, func(w io.Writer) error { return writeCreated(w, info) })
		},
	}
	withConfig(c, &file)
	c.Flags().StringVar(&secret.file, "passphrase-file", "", "the `FILE` with the passphrase and nothing else; in place of being asked for it")
	c.Flags().BoolVar(&secret.plain, "plain", false, "do not encrypt")
	c.Flags().Var(&chunk, "chunk-size", "chunk size of first backups, a power of two; 0 takes 256KiB, and 1MiB for disks above 4TiB")
	c.Flags().Var(&expected, "expected-size", "how much will be stored, such as 200TiB; packs are of 16MiB, and of 64MiB from 50TiB on")
	c.Flags().Var(&pack, "pack-size", "size of packs, 16MiB to 256MiB; 0 goes by --expected-size")
	_ = c.MarkFlagFilename("passphrase-file") // fails only where there is no such flag
	return a.withOutput(c)
}

// initSecret says where a new repository's passphrase comes from.
type initSecret struct {
	file  string // empty: the configuration's, or a person
	plain bool   // there is none
}

// suits refuses a configuration with which the repository could not be opened.
func (s initSecret) suits(r config.Repository) error {
	switch {
	case r.Root != "":
		return &ivd.Error{Kind: ivd.Invalid, Op: "repository.root", Err: fmt.Errorf("it names the root key of a repository that is there already"), Remedy: "leave it out, and set it to what this command shows"}
	case s.plain && r.PassphraseFile != "":
		return usagef("--plain, and the configuration has repository.passphrase_file: give one of the two")
	case s.plain && r.BackupKeyFile != "":
		return usagef("--plain, and the configuration has repository.backup_key_file: give one of the two")
	}
	return nil
}

// makeRepository makes a repository; a person is asked for its passphrase last, when
// nothing else is in the way.
func (a *app) makeRepository(ctx context.Context, r config.Repository, o repo.InitOptions, secret initSecret) (info api.Repository, err error) {
	if secret.file == "" {
		secret.file = r.PassphraseFile
	}
	ask := a.askNewPassphrase()
	switch {
	case secret.plain:
		ask = nil
	case secret.file != "":
		if o.Passphrase, err = config.ReadSecret(secret.file, slog.Default()); err != nil {
			return info, err
		}
		a.warnWeak(o.Passphrase)
		ask = nil
	case ask == nil:
		return info, &ivd.Error{
			Kind: ivd.Invalid, Err: fmt.Errorf("the repository is to be encrypted, and there is no terminal to ask for its passphrase"),
			Remedy: "give --passphrase-file, or --plain for one that is not encrypted",
		}
	}
	st, err := open.New(ctx, r)
	if err != nil {
		return info, err
	}
	if err := repo.Prove(ctx, st); err != nil {
		return info, err
	}
	if err := repo.Vacant(ctx, st); err != nil {
		return info, err
	}
	if ask != nil {
		if o.Passphrase, err = ask(ctx); err != nil {
			return info, err
		}
	}
	made, err := repo.Init(ctx, st, o)
	if err != nil {
		return info, err
	}
	if err := repo.ProveReplace(ctx, st); err != nil {
		fmt.Fprintf(a.errs, "ivd: `ivd repo adopt` will be refused here: %v\n", err)
	}
	a.tellWhatLacks(ctx, r)
	return serve.DescribeRepository(made), nil
}

// tellWhatLacks tries what a bucket does beyond what a repository needs, and says what of it
// is not done here. That nothing could be tried is no failure: the repository is made.
func (a *app) tellWhatLacks(ctx context.Context, r config.Repository) {
	found, err := probe.Run(ctx, open.Site(r, slog.Default()), []probe.Probe{probe.Checksum, probe.Versions, probe.Lock}, func(int, probe.Probe) {})
	for _, v := range found.Verdicts {
		if v.Outcome == probe.Broken {
			fmt.Fprintf(a.errs, "ivd: %v: %s%s\n", v.Err, v.Probe.Lacks, orDo(ivd.RemedyOf(v.Err)))
		} else if v.Err != nil {
			err = v.Err
		}
	}
	if err != nil {
		fmt.Fprintf(a.errs, "ivd: not all of what the store can do could be tried: %v; `ivd repo check-store` tries it again\n", err)
	}
}

// orDo is a remedy behind what is told; empty for none.
func orDo(remedy string) string {
	if remedy == "" {
		return ""
	}
	return "; if that matters, " + remedy
}

// writeCreated says what was made, and what to do with it.
func writeCreated(w io.Writer, i api.Repository) error {
	if i.Root.IsZero() {
		_, err := fmt.Fprintf(w, "created repository %s at %s, not encrypted\n", i.ID, i.URL)
		return err
	}
	_, err := fmt.Fprintf(w, `created repository %s at %s, encrypted

  root key  %s
            set it as repository.root in the configurations of all hosts: another
            repository in its place is refused then
  passphrase
            ivd serve needs it to restore: write it to a file that its user alone can
            read, and set repository.passphrase_file. Keep a copy where it outlives
            this machine: without it nobody can read a restore point
  now       ivd repo key sheet prints a recovery sheet, which opens the repository when
            the passphrase is lost
`, i.ID, i.URL, i.Root)
	return err
}
