package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"ivdmover/coordinator/cli/text"
	repoformat "ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

// addedSlot is a slot that was added, as it is printed.
type addedSlot struct {
	Slot    int                 `json:"slot"`
	Kind    repoformat.SlotKind `json:"kind"`
	Name    string              `json:"name"`
	KeyFile string              `json:"key_file,omitempty"`
}

func (a *app) keyAdd() *cobra.Command {
	var o keyOptions
	var name, passphrase, file string
	c := &cobra.Command{
		Use:   "add",
		Short: "Add a passphrase or a key file that opens the repository",
		Long: `Adds a slot: the repository opens with what is in it from then on, beside what has opened
it before. A passphrase is asked for on the terminal, twice, or read from the file that
--new-passphrase-file names. With --key-file a key file is made there, readable by this
user alone; it opens this repository only, and is given as repository.passphrase_file.

To change a passphrase, add the new one, write it to repository.passphrase_file, and
remove the old one. Where the passphrase is lost, what a key file or a recovery sheet
says is given in its place: at the question for it, or by --passphrase-file.`,
		Example: `  ivd repo key add --config /etc/ivd/ivd.yaml --name anna
  ivd repo key add --config /etc/ivd/ivd.yaml --name restore-host --key-file /root/estate-1.key
  ivd repo key add --config /etc/ivd/ivd.yaml --name new --passphrase-file typed-from-the-sheet`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case name == "":
				return usagef("%s needs a --name, by which it can be removed", cmd.CommandPath())
			case passphrase != "" && file != "":
				return usagef("give --new-passphrase-file or --key-file, not both")
			}
			chain, _, err := a.openKeys(cmd.Context(), o)
			if err != nil {
				return err
			}
			var s repo.StoredSlot
			if file != "" {
				s, err = addKeyFile(cmd, chain, name, file)
			} else if by, askErr := a.newPassphrase(cmd.Context(), passphrase); askErr != nil {
				err = askErr
			} else {
				s, err = chain.AddSlot(cmd.Context(), name, by, repoformat.Argon2{})
			}
			if err != nil {
				return err
			}
			shown := addedSlot{s.Number, s.Slot.Kind, name, file}
			return a.show(shown, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "added slot %d (%s)\n", s.Number, text.Name(name))
				if err == nil && file != "" {
					_, err = fmt.Fprintf(w, "its key file is %s: whoever has it, and can read the store, reads all that was backed up\n", file)
				}
				return err
			})
		},
	}
	withKeys(c, &o)
	c.Flags().StringVar(&name, "name", "", "whose it is: a `NAME`, by which it can be removed")
	c.Flags().StringVar(&passphrase, "new-passphrase-file", "", "the `FILE` with the new passphrase and nothing else; in place of being asked for it")
	c.Flags().StringVar(&file, "key-file", "", "make a key file, and write it to `FILE`, which must not be there")
	for _, f := range []string{"new-passphrase-file", "key-file"} {
		_ = c.MarkFlagFilename(f) // fails only where there is no such flag
	}
	return a.withOutput(c)
}

func addKeyFile(cmd *cobra.Command, chain *repo.Keychain, name, path string) (repo.StoredSlot, error) {
	out, err := newSecretFile(path)
	if err != nil {
		return repo.StoredSlot{}, err
	}
	defer out.giveUp()
	key, err := chain.KeyFile(cmd.Context(), name)
	if err != nil {
		return repo.StoredSlot{}, err
	}
	content, err := key.Encode()
	if err != nil {
		return repo.StoredSlot{}, err
	}
	s, err := chain.AddSlot(cmd.Context(), name, key.Opening(), repoformat.Argon2{})
	if err != nil {
		return s, err
	}
	return s, called(s, out.write(content))
}

// removedKey is what was removed, as it is printed: a slot, or a signer.
type removedKey struct {
	Slot   int        `json:"slot,omitempty"`
	Signer *ivd.KeyID `json:"signer,omitempty"`
	Name   string     `json:"name"`
}

func (a *app) keyRemove() *cobra.Command {
	var o keyOptions
	c := &cobra.Command{
		Use:   "remove SLOT | SIGNER",
		Short: "Remove what opens the repository, or a coordinator's right to sign",
		Long: `Removes a slot, by its number or its name: the repository no longer opens with it. The
slot that opens the repository for this command is never removed, so one remains that
opens for sure. This revokes nobody who has opened the slot, or has copied it: what it
held stays in use, and who has it needs the slot no more. Take their access to the store
away. In a bucket with versions, the slot's old version stays until it is deleted, too.

Removes a signer, by its name or its id: the signing key of a coordinator that has an
export of the keys. Its ivd serve stops at its next run and says why. What it has signed
stays valid, so the restore points that it made are read as before. Who has a copy of its
key can still make what looks as old as that, as long as they can write to the store: take
that away, too.`,
		Example: `  ivd repo key remove anna --config /etc/ivd/ivd.yaml
  ivd repo key remove 3 --config /etc/ivd/ivd.yaml --passphrase-file /root/estate-1.key
  ivd repo key remove coordinator-2 --config /etc/ivd/ivd.yaml`,
		Args: oneArg("slot's number or name, or a signer's"),
		RunE: func(cmd *cobra.Command, args []string) error {
			chain, _, err := a.openKeys(cmd.Context(), o)
			if err != nil {
				return err
			}
			l, err := chain.List(cmd.Context())
			if err != nil {
				return err
			}
			slot, signer, err := keyNamed(l, args[0])
			if err != nil {
				return err
			}
			if slot > 0 {
				if err := chain.RemoveSlot(cmd.Context(), slot); err != nil {
					return err
				}
				return a.show(removedKey{Slot: slot, Name: args[0]}, func(w io.Writer) error {
					_, err := fmt.Fprintf(w, "removed slot %d: the repository no longer opens with it; who has opened it before is not revoked\n", slot)
					return err
				})
			}
			if err := chain.RemoveSigner(cmd.Context(), signer.ID); err != nil {
				return err
			}
			return a.show(removedKey{Signer: &signer.ID, Name: signer.Name}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "removed signer %s (%s): it signs nothing new from its next run on; what it has signed stays valid\n", signer.ID, text.Name(signer.Name))
				return err
			})
		},
	}
	return a.withOutput(withKeys(c, &o))
}

// rotated is a new data key, as it is printed.
type rotated struct {
	DataKey    ivd.KeyID `json:"data_key"`
	Generation uint64    `json:"ring_generation"`
}

func (a *app) keyRotate() *cobra.Command {
	var o keyOptions
	c := &cobra.Command{
		Use:   "rotate",
		Short: "Make a new data key for what is backed up from now on",
		Long: `Makes a new data key. Writers take it from their next job on, whoever runs; nothing that
is stored is written anew, and what was sealed to the keys before is read as before. It
helps where the private half of a data key may have leaked, for what comes. It does not
help against who can open the repository: they have the new key, too.

Of two that rotate at once one does, and the other says so.`,
		Example: `  ivd repo key rotate --config /etc/ivd/ivd.yaml`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			chain, _, err := a.openKeys(cmd.Context(), o)
			if err != nil {
				return err
			}
			id, generation, err := chain.Rotate(cmd.Context())
			if err != nil {
				return err
			}
			return a.show(rotated{id, generation}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "new writers seal to data key %s; keys/ring is of generation %d\n", id, generation)
				return err
			})
		},
	}
	return a.withOutput(withKeys(c, &o))
}
