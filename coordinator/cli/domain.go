package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"ivdmover/coordinator/cli/text"
	"ivdmover/shared/ivd"
)

// shownDomain is a domain as it is printed.
type shownDomain struct {
	Domain  ivd.DomainID `json:"domain"`
	Name    string       `json:"name"`     // empty: the repository's own
	DataKey ivd.KeyID    `json:"data_key"` // what new writers seal to
}

func (a *app) repoDomain() *cobra.Command {
	c := &cobra.Command{
		Use:   "domain",
		Short: "Look after the domains of an encrypted repository: one for each tenant",
		Long: `A domain is one set of keys and one area of deduplication: what is backed up in one is
named and sealed by its keys alone, shares no pack with another's, and is read with them.
A repository has one of its own from the beginning. More are made for tenants whose
backups are to share nothing.

A coordinator works in the domain that repository.domain names, or for which its
backup_key_file was made: it sees, keeps, collects and verifies the restore points of that
domain alone. Each domain has a coordinator, with a state_dir and a queue of its own.`,
		Example: `  ivd repo domain add --config /etc/ivd/ivd.yaml tenant-2
  ivd repo domain list --config /etc/ivd/ivd.yaml`,
	}
	c.AddCommand(a.domainAdd(), a.domainList())
	return c
}

func (a *app) domainAdd() *cobra.Command {
	var o keyOptions
	c := &cobra.Command{
		Use:   "add NAME",
		Short: "Make a domain with keys of its own",
		Long: `Makes a domain of that name, with keys of its own in the ring. Nothing that is stored
changes. A coordinator that names it as repository.domain works in it from its start on;
one without the passphrase is given its keys by ivd repo key export --backup, with a
configuration that names the domain.

Who opens a slot opens all domains.`,
		Example: `  ivd repo domain add --config /etc/ivd/ivd.yaml tenant-2`,
		Args:    oneArg("name for the domain"),
		RunE: func(cmd *cobra.Command, args []string) error {
			chain, _, err := a.openKeys(cmd.Context(), o)
			if err != nil {
				return err
			}
			d, generation, err := chain.AddDomain(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			shown := shownDomain{d.Domain, d.Name, d.Data[len(d.Data)-1].ID}
			return a.show(shown, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "made domain %s (%s); keys/ring is of generation %d\nset repository.domain to %q where a coordinator is to work in it\n", d.Domain, text.Name(d.Name), generation, d.Name)
				return err
			})
		},
	}
	return a.withOutput(withKeys(c, &o))
}

func (a *app) domainList() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "list",
		Short: "List the domains of an encrypted repository",
		Long: `Lists the domains, with the data key that new writers of each seal to. No passphrase is
needed. The first one is the repository's own and has no name.`,
		Example: `  ivd repo domain list --config /etc/ivd/ivd.yaml
  ivd repo domain list --config /etc/ivd/ivd.yaml -o json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			chain, _, err := openLocked(cmd.Context(), file)
			if err != nil {
				return err
			}
			ring, err := chain.Ring(cmd.Context())
			if err != nil {
				return err
			}
			shown := make([]shownDomain, len(ring.Domains))
			for i, d := range ring.Domains {
				shown[i] = shownDomain{d.Domain, d.Name, d.Data[len(d.Data)-1].ID}
			}
			return a.show(shown, func(w io.Writer) error { return writeDomains(w, shown) })
		},
	}
	withConfig(c, &file)
	return a.withOutput(c)
}

func writeDomains(w io.Writer, all []shownDomain) error {
	t := &text.Table{Columns: []text.Column{text.Left("DOMAIN"), text.Left("NAME"), text.Left("DATA KEY")}}
	for _, d := range all {
		name := d.Name
		if name == "" {
			name = "-"
		}
		t.Row(d.Domain.String(), name, d.DataKey.String())
	}
	return t.Write(w)
}
