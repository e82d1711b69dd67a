// Package cli is the command line of ivd: it reads flags, asks the coordinator
// through the API, and shows the answer as a table for people or as JSON or YAML
// for programs. It knows texts, columns and exit codes; what a command does is the
// work of other packages.
//
// Results go to standard output, everything else to standard error. An error is one
// line with its remedy. The exit code is 0 when everything is done, 1 when it failed,
// 2 when the command line or the configuration is wrong, whatever there is, 3 when some
// disks failed or a list lacks something.
// It asks for nothing but a repository's passphrase and a consent to forget restore
// points, on a terminal, and never shows a secret.
package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"ivdmover/coordinator/api"
	"ivdmover/shared/ivd"
)

// Streams are where a command writes, and where it asks.
type Streams struct {
	In  *os.File  // of a person, where it is a terminal; nil: nobody is there
	Out io.Writer // results
	Err io.Writer // errors and progress
}

// Main runs the command that the process was started with and returns its exit code.
// The first interrupt ends it in order, the second one at once.
func Main(extra Extra) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		signal.Stop(signals) // before anything else: the second one ends the process
		cancel(errInterrupted)
	}()
	return Execute(ctx, os.Args[1:], Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, extra)
}

// errInterrupted is the cause of a context that ended by a signal.
var errInterrupted = &ivd.Error{Kind: ivd.Cancelled, Err: errors.New("interrupted")}

// Execute runs one command and returns its exit code. It has written the command's
// error.
func Execute(ctx context.Context, args []string, s Streams, extra Extra) int {
	a := &app{in: s.In, out: s.Out, errs: s.Err, extra: extra}
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil && !a.started {
		err = asUsage(err, args)
	}
	a.report(err)
	return exitCode(err)
}

// Root returns the tree of all commands.
func Root(extra Extra) *cobra.Command {
	return (&app{out: os.Stdout, errs: os.Stderr, extra: extra}).root()
}

// app is the state that all commands share.
type app struct {
	in        *os.File
	out, errs io.Writer
	extra     Extra
	started   bool // flags and arguments are valid

	format format // of --output
	link   link   // of --server, --token, --ca-file
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:     "ivd",
		Version: api.ThisBuild().Version,
		Short:   "Back up VMware's Improved Virtual Disks to object storage, and bring them back",
		Long: `ivd backs up VMware's Improved Virtual Disks (IVDs, also First Class Disks) of a
whole estate to object storage, in parallel, on as many mover hosts as there are,
and brings them back.

ivd serve is the coordinator. The other commands ask it, at IVD_SERVER or --server,
with the token IVD_TOKEN or --token, or that in the file which IVD_TOKEN_FILE or
the flag --token-file names. On its own host, as its own user, they find both.

Exit codes: 0 done, 1 failed, 2 wrong command line or configuration, 3 done in part: some
disks failed, or a list lacks what is named below it.`,
		Example: `  ivd demo                                      the whole story on this machine
  ivd repo init --config /etc/ivd/ivd.yaml      make the repository, once
  ivd serve --config /etc/ivd/ivd.yaml          run the coordinator
  ivd backup --all --wait                       back up every disk
  ivd points --disk 2b7f…                       see a disk's restore points
  ivd restore POINT --wait                      bring one back as a new disk`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		PersistentPreRun:  func(*cobra.Command, []string) { a.started = true },
	}
	root.SetOut(a.out)
	root.SetErr(a.errs)
	root.AddGroup(
		&cobra.Group{ID: groupDaily, Title: "Every day:"},
		&cobra.Group{ID: groupHost, Title: "Setting up:"},
		&cobra.Group{ID: groupTry, Title: "Trying it out:"},
	)
	group(root, groupDaily, a.disks(), a.backup(), a.runs(), a.run(), a.points(), a.point(), a.restore(), a.verify(), a.forget(), a.pin(), a.unpin(), a.hold(), a.release(), a.movers(), a.snapshots(), a.collect())
	group(root, groupHost, a.serve(), a.repo(), a.config(), a.version(), completion(), a.man())
	group(root, groupTry, a.lab(), a.demo())
	root.SetHelpCommand(help())
	root.SetHelpCommandGroupID(groupHost)
	root.SetVersionTemplate("ivd {{.Version}}\n")
	root.SetUsageTemplate(usageLine(root.UsageTemplate()))
	tidy(root)
	return root
}

const (
	groupDaily = "daily"
	groupHost  = "host"
	groupTry   = "try"
)

func group(root *cobra.Command, id string, commands ...*cobra.Command) {
	for _, c := range commands {
		c.GroupID = id
		root.AddCommand(c)
	}
}
