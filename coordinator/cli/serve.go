package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"ivdmover/coordinator/serve"
	"ivdmover/shared/config"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/open"
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
		Short: "Create a repository, show it, adopt a copy, or say which packs are damaged",
		Example: `  ivd repo init --config /etc/ivd/ivd.yaml
  ivd repo info`,
	}
	c.AddCommand(a.repoInit(), a.repoInfo(), a.repoAdopt(), a.repoRetire(), a.repoUnretire())
	return c
}

func (a *app) repoInit() *cobra.Command {
	var file string
	var chunk, pack, expected size
	c := &cobra.Command{
		Use:   "init",
		Short: "Create the repository that the configuration names, once",
		Long: `Creates a repository in the bucket or the folder that repository.url names. It works
on the store itself and needs no ivd serve. An existing repository is never changed.
A store that accepts a request which is older than its signature allows, or a second
creation of a name, is refused: what is committed would not be safe there. One that
cannot replace an object conditionally is told of: ivd repo adopt needs that.`,
		Example: `  ivd repo init --config /etc/ivd/ivd.yaml
  ivd repo init --config /etc/ivd/ivd.yaml --expected-size 200TiB`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o := repo.InitOptions{ChunkSize: int64(chunk), PackSize: int64(pack), ExpectedSize: int64(expected)}
			if err := o.Validate(); err != nil { // before anything is made
				return err
			}
			cfg, err := loadForStore(file)
			if err != nil {
				return err
			}
			st, err := open.New(cmd.Context(), cfg.Repository)
			if err != nil {
				return err
			}
			if err := repo.Prove(cmd.Context(), st); err != nil {
				return err
			}
			r, err := repo.Init(cmd.Context(), st, o)
			if err != nil {
				return err
			}
			if err := repo.ProveReplace(cmd.Context(), st); err != nil {
				fmt.Fprintf(a.errs, "ivd: `ivd repo adopt` will be refused here: %v\n", err)
			}
			info := serve.DescribeRepository(r)
			return a.show(info, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "created repository %s at %s\n", info.ID, info.URL)
				return err
			})
		},
	}
	withConfig(c, &file)
	c.Flags().Var(&chunk, "chunk-size", "chunk size of first backups, a power of two; 0 takes 256KiB, and 1MiB for disks above 4TiB")
	c.Flags().Var(&expected, "expected-size", "how much will be stored, such as 200TiB; packs are of 16MiB, and of 64MiB from 50TiB on")
	c.Flags().Var(&pack, "pack-size", "size of packs, 16MiB to 256MiB; 0 goes by --expected-size")
	return a.withOutput(c)
}

func (a *app) repoInfo() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "info",
		Short: "Show the repository's properties",
		Long:  `Asks ivd serve about its repository or, with --config, reads the store itself.`,
		Example: `  ivd repo info
  ivd repo info --config /etc/ivd/ivd.yaml -o json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			info, err := a.askOrOpen(cmd, file)
			if err != nil {
				return err
			}
			return a.show(info, func(w io.Writer) error { return writeFacts(w, repoFacts(info)) })
		},
	}
	withConfig(c, &file)
	return a.withServer(a.withOutput(c))
}
