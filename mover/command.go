package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"ivdmover/shared/config"
	"ivdmover/shared/format"
	"ivdmover/shared/queue"
	"ivdmover/shared/store/open"
	"ivdmover/shared/supervise"
	"ivdmover/shared/telemetry"
	"ivdmover/vddk"
)

// childCommand is the hidden argument that the program gives itself.
const childCommand = "child"

// flags are those of every command. The child gets the same.
type flags struct {
	config    string
	name      string
	queue     string
	logFormat string
	beside    bool // a child that works beside another, for a while
	logLevel  string
}

func command() *cobra.Command {
	var f flags
	root := &cobra.Command{
		Use:   "ivd-mover --config FILE",
		Short: "Move the data of backups and restores between disks and a repository",
		Long: `ivd-mover takes backup and restore jobs off the queue that the coordinator
fills, opens the disks through VMware's VDDK, and moves their data to and from
the repository. Run one on each proxy host; they share the work.

SIGTERM or SIGINT: it finishes the batches under way, hands its jobs back, closes
every disk and ends. A second signal ends it at once.

Exit status: 0 asked to stop and done, 1 failed, 2 wrong usage or configuration.`,
		Example: `  ivd-mover --config /etc/ivd/ivd.yaml
  ivd-mover --config /etc/ivd/ivd.yaml --name proxy-2 --queue nats://coordinator.example.net:4222
  ivd-mover --config /etc/ivd/ivd.yaml --log-format json --log-level debug`,
		Version:       version(),
		Args:          noArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(*cobra.Command, []string) error { return parent(f) },
	}
	p := root.PersistentFlags()
	p.StringVar(&f.config, "config", "", "the configuration file, the same as the coordinator's")
	p.StringVar(&f.name, "name", "", "this mover's name, instead of mover.name")
	p.StringVar(&f.queue, "queue", "", "the queue's URL, instead of queue.url")
	p.StringVar(&f.logFormat, "log-format", "text", "text or json")
	p.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	p.BoolVar(&f.beside, "beside", false, "used by the program itself")
	if err := p.MarkHidden("beside"); err != nil {
		panic(err) // there is no such flag
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return wrongUsage(err) })
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetVersionTemplate("ivd-mover {{.Version}}\n")
	root.SetHelpCommand(help())

	root.AddCommand(&cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  ivd-mover version",
		Args:    noArgs,
		Run:     func(c *cobra.Command, _ []string) { fmt.Fprintln(c.OutOrStdout(), "ivd-mover", version()) },
	}, &cobra.Command{
		Use:    childCommand,
		Short:  "Used by the program itself",
		Hidden: true,
		Args:   noArgs,
		RunE:   func(*cobra.Command, []string) error { child(f); return nil },
	})
	root.AddCommand(doctorCommands(&f)...)
	root.AddCommand(checkCommands(&f)...)
	return root
}

func noArgs(c *cobra.Command, args []string) error {
	if err := cobra.NoArgs(c, args); err != nil {
		return wrongUsage(err)
	}
	return nil
}

// help is cobra's command of that name, which refuses what is no command.
func help() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND…]",
		Short: "Show the help of a command",
		Args:  cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			of, rest, err := c.Root().Find(args)
			if err == nil && len(rest) > 0 {
				err = fmt.Errorf("unknown command %q", rest[0])
			}
			if err != nil {
				return wrongUsage(err)
			}
			of.InitDefaultHelpFlag() // else --help is not in it
			return of.Help()
		},
	}
}

func wrongUsage(err error) error {
	return usageError{fmt.Errorf("%w; see ivd-mover --help", err)}
}

// version is the module's version and the commit that the program was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v += " " + s.Value
		}
	}
	return v
}

// loadConfig loads the configuration, with the flags that replace a part of it.
func (f *flags) loadConfig() (*config.Config, error) {
	if f.config == "" {
		return nil, wrongUsage(errors.New("--config is needed"))
	}
	c, err := config.Load(f.config)
	if err != nil {
		return nil, usageError{err}
	}
	if f.name != "" {
		c.Mover.Name = f.name
	}
	if f.beside {
		c.Mover.VDDK.Transports = besides(c.Mover.VDDK.Transports)
	}
	if c.Queue.URL = c.QueueURL(); f.queue != "" {
		c.Queue.URL = f.queue
	}
	return c, nil
}

// load returns the configuration and the log of a mover, parent and child alike. Its
// errors are of usage.
func (f *flags) load() (*config.Config, *slog.Logger, error) {
	level, err := telemetry.ParseLevel(f.logLevel)
	if err != nil {
		return nil, nil, usageError{err}
	}
	log, err := telemetry.NewLogger(os.Stderr, telemetry.Options{Format: f.logFormat, Level: level})
	if err != nil {
		return nil, nil, usageError{err}
	}
	c, err := f.loadConfig()
	if err != nil {
		return nil, nil, err
	}
	if err := c.ValidateMover(); err != nil {
		return nil, nil, usageError{err}
	}
	if err := checkMemory(c, format.PackSize); err != nil {
		return nil, nil, usageError{err}
	}
	if err := open.Check(c.Repository, log); err != nil {
		return nil, nil, usageError{err}
	}
	if err := queue.Check(queueOptions(c)); err != nil {
		return nil, nil, usageError{err}
	}
	return c, log.With(telemetry.Mover(f.worker(c))), nil
}

// part is the part of the mover that this process is; empty: the mover itself.
func (f *flags) part() string {
	if f.beside {
		return beside
	}
	return ""
}

// worker is the name by which this process works.
func (f *flags) worker(c *config.Config) string {
	if p := f.part(); p != "" {
		return queue.PartName(c.Mover.Name, p)
	}
	return c.Mover.Name
}

// parent supervises a child with the same flags. Only the child's environment has
// the library's path.
func parent(f flags) error {
	c, log, err := f.load()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program's file: %w", err)
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	args := []string{
		childCommand, "--config", f.config, "--name", c.Mover.Name, "--queue", c.Queue.URL,
		"--log-format", f.logFormat, "--log-level", f.logLevel,
	}
	var second []string
	if len(besides(c.Mover.VDDK.Transports)) > 0 {
		second = append(slices.Clone(args), "--beside")
	}
	return supervise.Run(context.Background(), supervise.Options{
		Path: self, Args: args, Beside: second, Silence: silence,
		Env:     append(os.Environ(), vddk.Environment(c.Mover.VDDK.LibDir)...),
		Stdout:  os.Stdout,
		Signals: signals,
		Log:     log,
	})
}
