package cli

import (
	"cmp"
	"context"
	"os"
	"time"

	"github.com/spf13/cobra"

	"ivdmover/coordinator/api"
	"ivdmover/shared/ivd"
)

// link says which server is asked, and how.
type link struct {
	server string
	token  string
	caFile string
}

// withServer gives a command the flags that say which server to ask.
func (a *app) withServer(c *cobra.Command) *cobra.Command {
	c.Flags().StringVar(&a.link.server, "server", "", "`URL` of ivd serve (IVD_SERVER; else "+api.DefaultServer+")")
	c.Flags().StringVar(&a.link.token, "token", "", "the server's `TOKEN` for you; others on this host see flags, so rather set IVD_TOKEN")
	c.Flags().StringVar(&a.link.caFile, "ca-file", "", "`FILE` with the authority of the server's certificate, in PEM")
	return c
}

// client makes a client of the server that flags and environment name.
func (a *app) client() (*api.Client, error) {
	return api.NewClient(api.ClientOptions{
		Server: cmp.Or(a.link.server, os.Getenv("IVD_SERVER")),
		Token:  ivd.Secret(cmp.Or(a.link.token, os.Getenv("IVD_TOKEN"))),
		CAFile: a.link.caFile,
	})
}

// asking wraps what a command does with a client.
func (a *app) asking(do func(ctx context.Context, c *api.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		defer c.Close()
		return do(cmd.Context(), c, args)
	}
}

// completing asks the server for words that the shell can offer. A server that
// does not answer soon offers none.
func (a *app) completing(ask func(context.Context, *api.Client) ([]cobra.Completion, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), 3*time.Second)
		defer cancel()
		c, err := a.client()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer c.Close()
		words, err := ask(ctx, c)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}
