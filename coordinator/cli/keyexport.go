package cli

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"ivdmover/coordinator/heads"
	"ivdmover/coordinator/sheet"
	"ivdmover/shared/config"
	repoformat "ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/keys"
	"ivdmover/shared/repo"
	"ivdmover/shared/telemetry"
)

func (a *app) keyExport() *cobra.Command {
	var o keyOptions
	var backup bool
	var name, file string
	c := &cobra.Command{
		Use:   "export",
		Short: "Write the keys that a coordinator without the passphrase backs up with",
		Long: `Makes a signing key for one coordinator, and writes it to a file with the keys that a
backup needs, readable by this user alone: repository.backup_key_file of that
coordinator. It backs up with them, and can open no chunk, so it cannot restore; nor can
it sign that a restore point is forgotten, or that something is deleted. The file names
the repository that it is for, and is refused anywhere else.

Make one for each coordinator: ivd repo key remove NAME takes its right to sign away.`,
		Example: `  ivd repo key export --config /etc/ivd/ivd.yaml --backup --name coordinator-2 --output coordinator-2.key`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !backup || name == "" || file == "" {
				return usagef("give --backup, --name and --output: %s needs all of them", cmd.CommandPath())
			}
			chain, _, err := a.openKeys(cmd.Context(), o)
			if err != nil {
				return err
			}
			out, err := newSecretFile(file)
			if err != nil {
				return err
			}
			defer out.giveUp()
			e, err := chain.Export(cmd.Context(), name)
			if err != nil {
				return err
			}
			content, err := e.Encode()
			if err == nil {
				err = out.write(content)
			}
			if err != nil {
				return &ivd.Error{Err: fmt.Errorf("signer %q was added, and its keys could not be written: %w", name, err), Remedy: "remove it with `ivd repo key remove NAME`, and export again"}
			}
			_, err = fmt.Fprintf(a.out, "signer %s (%s) was added; %s is its repository.backup_key_file\n", e.Signer.ID, name, file)
			return err
		},
	}
	withKeys(c, &o)
	c.Flags().BoolVar(&backup, "backup", false, "what a coordinator needs to back up, and no more; nothing else can be exported")
	c.Flags().StringVar(&name, "name", "", "which coordinator it is for: a `NAME`")
	outputFile(c, &file, "write the keys to `FILE`, which must not be there")
	return c
}

func outputFile(c *cobra.Command, file *string, usage string) {
	c.Flags().StringVar(file, "output", "", usage)
	_ = c.MarkFlagFilename("output") // fails only where there is no such flag
}

func (a *app) keySheet() *cobra.Command {
	var o keyOptions
	var name, file string
	c := &cobra.Command{
		Use:   "sheet",
		Short: "Print a recovery sheet, which opens the repository when the passphrase is lost",
		Long: `Adds a slot with a secret of its own, and prints that on a sheet: as a QR code, and in
four lines that a person can type, each with a checksum. The sheet says which repository
it is for and how it is used. Its secret is taken wherever the passphrase is: at the
question for it, in the file of --passphrase-file, in repository.passphrase_file.

Without --output it goes to the terminal, or to a printer: | lp. With --output it is
written to a file, readable by this user alone, as a page (FILE.html), or as text. Print
it, lock it away, and remove the file. Each sheet has a slot of its own and can be removed
by ivd repo key remove.`,
		Example: `  ivd repo key sheet --config /etc/ivd/ivd.yaml --output sheet.html
  ivd repo key sheet --config /etc/ivd/ivd.yaml | lp`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if strings.EqualFold(filepath.Ext(file), ".pdf") {
				return usagef("no PDF is made: give a file that ends in .html, and print it to one")
			}
			chain, c, err := a.openKeys(cmd.Context(), o)
			if err != nil {
				return err
			}
			var out *secretFile
			if file != "" {
				if out, err = newSecretFile(file); err != nil {
					return err
				}
				defer out.giveUp()
			}
			last := a.headFacts(cmd.Context(), chain.Repository())
			s, slot, err := newSheet(cmd.Context(), chain, c, name)
			s.Heads = last
			if err != nil {
				return err
			}
			if out == nil {
				return called(slot, a.printSheet(s))
			}
			if err := called(slot, writeSheet(out, s)); err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.out, "added slot %d (%s); its sheet is %s: print it, lock it away, and remove the file\n", slot.Number, slot.Slot.Name, file)
			return err
		},
	}
	withKeys(c, &o)
	c.Flags().StringVar(&name, "name", "", "a `NAME` for the slot; else it has the day in it")
	outputFile(c, &file, "write the sheet to `FILE`, which must not be there: a page where its name ends in .html, else text")
	return c
}

// headFacts are what tells the present state of a repository from an earlier one. Where
// they cannot be told the sheet is made all the same, and says so.
func (a *app) headFacts(ctx context.Context, r *repo.Repository) []sheet.Fact {
	h, err := heads.All(ctx, r, func(run ivd.RunID, err error) {
		fmt.Fprintf(a.errs, "ivd: the record of run %s cannot be read, and is not on the sheet: %s\n", run, telemetry.Safe(err.Error()))
	})
	if err != nil {
		fmt.Fprintf(a.errs, "ivd: the last records of the coordinators cannot be read, and are not on the sheet: %s\n", telemetry.Safe(err.Error()))
		return []sheet.Fact{{Name: "heads", Value: "they could not be read when this sheet was made"}}
	}
	facts := []sheet.Fact{{Name: "generations", Value: fmt.Sprintf("repo.json %d, keys/ring %d", h.Generation, h.Ring)}}
	for _, head := range h.Heads {
		facts = append(facts,
			sheet.Fact{Name: "head", Value: fmt.Sprintf("record %d of coordinator %s,", head.Sequence, telemetry.Safe(head.Coordinator))},
			sheet.Fact{Value: fmt.Sprintf("run %s, Sum %.16s…", head.Run, head.Sum)})
	}
	return facts
}

// newSheet adds a slot, and is the sheet that opens it.
func newSheet(ctx context.Context, chain *repo.Keychain, c config.Repository, name string) (sheet.Sheet, repo.StoredSlot, error) {
	now := time.Now()
	info := chain.Info()
	s := sheet.Sheet{
		Recovery: keys.Recovery{Secret: ivd.NewKey(), Repository: info.ID, Root: info.Root},
		URL:      c.URL, Endpoint: c.Endpoint, Domain: info.Domain, Created: now,
	}
	add := func(name string) (repo.StoredSlot, error) {
		s.Name = name
		return chain.AddSlot(ctx, name, s.Recovery.Opening(), repoformat.Argon2{})
	}
	slot, err := add(cmp.Or(name, now.UTC().Format("recovery sheet 2006-01-02")))
	if ivd.KindOf(err) == ivd.Exists && name == "" {
		slot, err = add(now.UTC().Format("recovery sheet 2006-01-02 15:04:05"))
	}
	s.Slot = slot.Number
	return s, slot, err
}

func (a *app) printSheet(s sheet.Sheet) error {
	f, ok := a.out.(*os.File)
	page, err := s.Text(ok && term.IsTerminal(int(f.Fd())))
	if err == nil {
		_, err = fmt.Fprint(a.out, page)
	}
	return err
}

func writeSheet(out *secretFile, s sheet.Sheet) error {
	switch strings.ToLower(filepath.Ext(out.f.Name())) {
	case ".html", ".htm":
		page, err := s.HTML()
		if err != nil {
			return err
		}
		return out.write(page)
	}
	page, err := s.Text(false)
	if err != nil {
		return err
	}
	return out.write([]byte(page))
}
