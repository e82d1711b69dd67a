package cli

import (
	"errors"
	"io"

	"github.com/spf13/cobra"

	"ivdmover/coordinator/serve"
	"ivdmover/shared/config"
	"ivdmover/shared/telemetry"
)

func (a *app) serve() *cobra.Command {
	var (
		file, level string
		logs        telemetry.Options
		o           serve.Options
	)
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the coordinator: the service, its API, and the embedded queue",
		Long: `Runs the coordinator until it is interrupted. Its next start continues the runs that
are under way. The queue is embedded, with its files under state_dir,
unless queue.url is set.`,
		Example: `  ivd serve --config /etc/ivd/ivd.yaml
  ivd serve --config /etc/ivd/ivd.yaml --movers 2     all on this machine`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Movers < 0 {
				return usagef("--movers %d: want 0 or more", o.Movers)
			}
			cfg, err := config.Load(file)
			if err != nil {
				return err
			}
			if logs.Level, err = telemetry.ParseLevel(level); err != nil {
				return err
			}
			if o.Log, err = telemetry.NewLogger(a.errs, logs); err != nil {
				return err
			}
			o.ConfigFile, o.MoverArgs = file, []string{"--log-level", level, "--log-format", logs.Format}
			return serve.Run(cmd.Context(), cfg, o)
		},
	}
	withConfig(c, &file)
	c.Flags().IntVar(&o.Movers, "movers", 0, "also run `N` movers on this host, as child processes")
	c.Flags().StringVar(&level, "log-level", "info", "the least that is logged: debug, info, warn or error")
	c.Flags().StringVar(&logs.Format, "log-format", "text", "text, or json: one object a line")
	return c
}

func (a *app) repo() *cobra.Command {
	c := &cobra.Command{
		Use:   "repo",
		Short: "Create a repository, show it, look after its keys, adopt a copy, or say which packs are damaged",
		Example: `  ivd repo init --config /etc/ivd/ivd.yaml
  ivd repo info`,
	}
	c.AddCommand(a.repoInit(), a.repoInfo(), a.repoKey(), a.repoDomain(), a.repoHead(), a.repoAdopt(), a.repoCost(), a.repoNeeds(), a.repoRetire(), a.repoUnretire(), a.repoQuarantine())
	c.AddCommand(a.repoCheckStore())
	return c
}

func (a *app) repoInfo() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "info",
		Short: "Show the repository's properties",
		Long: `Asks ivd serve about its repository or, with --config, reads the store itself. Where the
repository is not what this host has seen of it before, it says so, with exit code 1:
nothing is written to it until a person has looked.`,
		Example: `  ivd repo info
  ivd repo info --config /etc/ivd/ivd.yaml -o json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			info, err := a.askOrOpen(cmd, file)
			if err != nil {
				return err
			}
			return errors.Join(a.show(info, func(w io.Writer) error { return writeFacts(w, repoFacts(info)) }), info.Failure.Err())
		},
	}
	withConfig(c, &file)
	return a.withServer(a.withOutput(c))
}
