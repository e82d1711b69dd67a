package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"ivdmover/coordinator/api"
	"ivdmover/shared/ivd"
)

func (a *app) runs() *cobra.Command {
	c := &cobra.Command{
		Use:   "runs",
		Short: "List runs: backups and restores, under way and ended",
		Example: `  ivd runs
  ivd runs -o json`,
		RunE: a.withClient(func(ctx context.Context, c *api.Client, _ []string) error {
			runs, err := c.Runs(ctx)
			if err != nil {
				return err
			}
			table, not := runTable(runs)
			return a.showList(runs, table.Write, not, "not readable")
		}),
	}
	return a.withServer(a.withOutput(c))
}

func (a *app) run() *cobra.Command {
	c := &cobra.Command{
		Use:   "run",
		Short: "Show, follow or cancel one run",
		Example: `  ivd run show 20261124t231500z-1f0c2a9b
  ivd run cancel 20261124t231500z-1f0c2a9b`,
	}
	c.AddCommand(a.runShow(), a.runCancel())
	return c
}

func (a *app) runShow() *cobra.Command {
	var follow bool
	c := &cobra.Command{
		Use:   "show RUN",
		Short: "Show a run and its disks",
		Long: `Shows a run and its disks. With --follow it shows the progress until the run has
ended; the exit code is then 0 when every disk is done, 3 when some failed, 1 when
none is done. A disk whose record cannot be read is named below the others; then the
exit code is 3.`,
		Example: `  ivd run show 20261124t231500z-1f0c2a9b
  ivd run show 20261124t231500z-1f0c2a9b --follow
  ivd run show 20261124t231500z-1f0c2a9b -o json`,
		Args: oneArg("RUN"),
		RunE: a.withClient(func(ctx context.Context, c *api.Client, args []string) error {
			id := ivd.RunID(args[0])
			v, err := c.RunDetail(ctx, id)
			if err != nil { // also before it follows: only a server that was there is waited for
				return err
			}
			if follow {
				return a.toEnd(ctx, c, id)
			}
			return a.showRun(v)
		}),
	}
	c.Flags().BoolVar(&follow, "follow", false, "show the progress until the run has ended")
	c.ValidArgsFunction = a.runIDs(false)
	return a.withServer(a.withOutput(c))
}

func (a *app) runCancel() *cobra.Command {
	c := &cobra.Command{
		Use:   "cancel RUN",
		Short: "End a run early",
		Long: `Asks for the end of a run. Disks that are done stay done; those at work stop, and
their snapshots are deleted before the run has ended.`,
		Example: `  ivd run cancel 20261124t231500z-1f0c2a9b`,
		Args:    oneArg("RUN"),
		RunE: a.withClient(func(ctx context.Context, c *api.Client, args []string) error {
			v, err := c.Cancel(ctx, ivd.RunID(args[0]))
			if err != nil {
				return err
			}
			return a.show(v, func(w io.Writer) error {
				if v.State.Ended() {
					_, err := fmt.Fprintf(w, "run %s has ended already: %s\n", v.ID, v.State)
					return err
				}
				_, err := fmt.Fprintf(w, "run %s is being cancelled: follow it with `ivd run show %s --follow`\n", v.ID, v.ID)
				return err
			})
		}),
	}
	c.ValidArgsFunction = a.runIDs(true)
	return a.withServer(a.withOutput(c))
}

// runIDs offers runs to the shell, perhaps only those under way.
func (a *app) runIDs(underWay bool) cobra.CompletionFunc {
	return a.completions(func(ctx context.Context, c *api.Client) ([]cobra.Completion, error) {
		runs, err := c.Runs(ctx)
		var words []cobra.Completion
		for _, v := range runs {
			if v.Unread == nil && (!underWay || !v.State.Ended()) {
				words = append(words, cobra.CompletionWithDesc(string(v.ID), string(v.Kind)+", "+string(v.State)))
			}
		}
		return words, err
	})
}
