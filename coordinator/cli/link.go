package cli

import (
	"cmp"
	"context"
	"os"
	"time"

	"github.com/spf13/cobra"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/cli/progress"
	"ivdmover/coordinator/serve"
	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
)

// link is which server to ask, and how.
type link struct {
	server string
	token  string
	file   string // with the token
	caFile string
}

// withServer adds the flags that say which server to ask.
func (a *app) withServer(c *cobra.Command) *cobra.Command {
	c.Flags().StringVar(&a.link.server, "server", "", "`URL` of ivd serve (IVD_SERVER; else "+api.DefaultServer+")")
	c.Flags().StringVar(&a.link.token, "token", "", "your `TOKEN` for the server; other users of this host can see flags: IVD_TOKEN is safer")
	c.Flags().StringVar(&a.link.file, "token-file", "", "`FILE` with the token (IVD_TOKEN_FILE; else, where no server is named, "+localToken()+")")
	c.Flags().StringVar(&a.link.caFile, "ca-file", "", "PEM `FILE` with the authority of the server's certificate")
	return c
}

// client returns a client of the server that flags and environment name. It shows what
// the server does for a request that takes long.
func (a *app) client() (*api.Client, error) {
	return a.newClient(progress.NewWait(a.errs, time.Now).Show)
}

func (a *app) newClient(show func(line string)) (*api.Client, error) {
	o := api.ClientOptions{
		News:   show,
		Server: cmp.Or(a.link.server, os.Getenv("IVD_SERVER")),
		Token:  ivd.Secret(a.link.token), TokenFile: a.link.file,
		CAFile: a.link.caFile,
	}
	if o.Token == "" && o.TokenFile == "" {
		o.Token, o.TokenFile = ivd.Secret(os.Getenv("IVD_TOKEN")), os.Getenv("IVD_TOKEN_FILE")
	}
	if o.Token == "" && o.TokenFile == "" && o.Server == "" {
		o.TokenFile = localToken()
	}
	return api.NewClient(o)
}

// localToken is where `ivd serve` keeps the token for its own user, unless it has
// another state_dir.
func localToken() string { return serve.TokenFile(config.Default().StateDir) }

// withClient returns a command's function that calls do with a client.
func (a *app) withClient(do func(ctx context.Context, c *api.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		defer c.Close()
		return do(cmd.Context(), c, args)
	}
}

// completions returns a function that asks the server for the shell's completions;
// there are none where the server does not answer soon.
func (a *app) completions(ask func(context.Context, *api.Client) ([]cobra.Completion, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), 3*time.Second)
		defer cancel()
		c, err := a.newClient(nil)
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
