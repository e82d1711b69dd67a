package cli

import (
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/serve"
	"ivdmover/shared/config"
)

func (a *app) version() *cobra.Command {
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version and the build",
		Example: `  ivd version
  ivd version -o json`,
		RunE: func(*cobra.Command, []string) error {
			b := api.ThisBuild()
			return a.show(b, func(w io.Writer) error {
				revision := b.Revision
				if b.Modified {
					revision += ", modified"
				}
				return writeFacts(w, []fact{{"ivd", b.Version}, {"revision", revision}, {"go", b.Go + " " + b.Platform}})
			})
		},
	}
	return a.withOutput(c)
}

func (a *app) config() *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Check a configuration, or print one with every key",
		Example: `  ivd config reference > ivd.yaml
  ivd config check --config ivd.yaml`,
	}
	c.AddCommand(a.configCheck(), a.configReference())
	return c
}

func (a *app) configCheck() *cobra.Command {
	var file string
	var mover bool
	var movers int
	c := &cobra.Command{
		Use:   "check",
		Short: "Check a configuration without using it",
		Long: `Does with a configuration what ivd serve does before it touches a network: it reads
the file, and every file that is named in it. What movers use of it is checked too, as
far as the file shows it. Every problem is named, one a line. Run it as the user of
ivd serve.

With --mover, this host's ivd-mover does what it does at its start, the loading of VDDK
with it (where there is no ivd, ivd-mover check does), and the coordinator's part is
left out. With --movers N, that is done as ivd serve --movers N would, beside all that
ivd serve does.`,
		Example: `  ivd config check --config /etc/ivd/ivd.yaml
  ivd config check --config /etc/ivd/ivd.yaml --movers 2
  ivd config check --config /etc/ivd/ivd.yaml --mover`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if movers < 0 {
				return usagef("--movers %d: want 0 or more", movers)
			}
			if mover && movers > 0 {
				return usagef("give --mover or --movers, not both")
			}
			cfg, err := config.Load(file)
			if err != nil {
				return err
			}
			o := serve.Options{Movers: movers, ConfigFile: file, Log: slog.New(slog.NewTextHandler(a.errs, nil))}
			if !mover {
				err = serve.Check(cfg, o)
			}
			switch {
			case mover, movers > 0 && cfg.ValidateMover() == nil: // else each would only say again what is said
				err = errors.Join(err, serve.CheckMovers(cmd.Context(), cfg, o, a.errs))
			case movers == 0 && cfg.Mover.VDDK.LibDir != "":
				err = errors.Join(err, cfg.ValidateVDDK()) // the rest is what ivd serve uses, too
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.out, "%s is good\n", file)
			return err
		},
	}
	withConfig(c, &file)
	c.Flags().BoolVar(&mover, "mover", false, "check what a mover on this host does with it")
	c.Flags().IntVar(&movers, "movers", 0, "check what ivd serve with `N` movers does with it")
	return c
}

func (a *app) configReference() *cobra.Command {
	return &cobra.Command{
		Use:     "reference",
		Short:   "Print a configuration with every key, its default and its meaning",
		Example: `  ivd config reference > ivd.yaml`,
		RunE: func(*cobra.Command, []string) error {
			_, err := io.WriteString(a.out, config.Reference())
			return err
		},
	}
}

// defaultConfig is the configuration's path unless --config names another.
const defaultConfig = "/etc/ivd/ivd.yaml"

// withConfig adds the flag that names the configuration.
func withConfig(c *cobra.Command, file *string) {
	c.Flags().StringVar(file, "config", defaultConfig, "the configuration `FILE`")
	_ = c.MarkFlagFilename("config", "yaml", "yml") // fails only where there is no such flag
}

func completion() *cobra.Command {
	shells := map[string]func(*cobra.Command, io.Writer) error{
		"bash":       func(c *cobra.Command, w io.Writer) error { return c.GenBashCompletionV2(w, true) },
		"zsh":        func(c *cobra.Command, w io.Writer) error { return c.GenZshCompletion(w) },
		"fish":       func(c *cobra.Command, w io.Writer) error { return c.GenFishCompletion(w, true) },
		"powershell": func(c *cobra.Command, w io.Writer) error { return c.GenPowerShellCompletionWithDesc(w) },
	}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print the completion script of a shell: bash, zsh, fish or powershell",
		Example: `  source <(ivd completion bash)
  ivd completion zsh > "${fpath[1]}/_ivd"
  ivd completion fish > ~/.config/fish/completions/ivd.fish`,
		ValidArgs: []cobra.Completion{"bash", "zsh", "fish", "powershell"},
		Args: func(c *cobra.Command, args []string) error {
			if err := oneArg("SHELL")(c, args); err != nil {
				return err
			}
			if shells[args[0]] == nil {
				return usagef("no completion for %q: want bash, zsh, fish or powershell", args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return shells[args[0]](c.Root(), c.OutOrStdout()) },
	}
}
