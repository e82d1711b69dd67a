package cli

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/cli/text"
)

func (a *app) restore() *cobra.Command {
	var (
		request api.RestoreRequest
		wait    bool
	)
	c := &cobra.Command{
		Use:   "restore POINT",
		Short: "Restore a point to a new disk",
		Long: `Starts a restore to a new disk and prints the id of its run. The disk gets its name
when all of it is written and checked; until then it is named after the run. Its
size is rounded up to whole MiB, as vSphere requires, with zeros beyond the old end.

POINT is an id as ivd points lists it, or the beginning of one; NAME@latest, the
newest point of the disk of that name or id; or NAME@2026-11-25T22:00, the newest not
after that moment, in the time zone of this machine unless it has an offset. Of two
vCenters that have such a disk, VCENTER/NAME says which.

A restore tells collections by a lease in the repository that it is reading. From one
that nobody can write to any more (a locked bucket, a read-only folder), --no-lease
restores without. It is safe only as long as nobody collects from that repository:
what it still needs could be deleted under it, and it would fail.`,
		Example: `  ivd restore 1f0c2a9b --wait
  ivd restore data-01@latest --datastore nvme-2 --name data-again
  ivd restore data-01@2026-11-25T22:00 --name data-before
  ivd restore 1f0c2a9b --no-lease --wait`,
		Args: oneArg("POINT"),
		RunE: a.withClient(func(ctx context.Context, c *api.Client, args []string) error {
			var err error
			if request.Point, err = pointName(args[0]); err != nil {
				return err
			}
			v, err := c.Restore(ctx, request)
			if err != nil {
				return mayHaveBegun(ctx, err)
			}
			return a.startedRun(ctx, c, v, wait)
		}),
	}
	c.Flags().StringVar(&request.VCenter, "vcenter", "", "the vCenter to restore to, by its `NAME` in the configuration; else where the disk was")
	c.Flags().StringVar(&request.Datastore, "datastore", "", "the `DATASTORE` to restore to, by its name or its id; else where the disk was")
	c.Flags().StringVar(&request.Name, "name", "", "the new disk's `NAME`; else the old one with the point's time")
	c.Flags().BoolVar(&request.NoLease, "no-lease", false, "read a repository that cannot be written to; only as long as nobody collects from it")
	c.Flags().BoolVar(&wait, "wait", false, "follow the run to its end")
	c.ValidArgsFunction = a.pointIDs()
	return a.withServer(a.withOutput(c))
}

func (a *app) points() *cobra.Command {
	var q api.PointQuery
	var disk string
	var c *cobra.Command
	c = &cobra.Command{
		Use:   "points",
		Short: "List restore points, and which are damaged",
		Long: `Lists restore points. One is damaged when it needs a pack of the repository that was
found missing or wrong: by a restore, by a backup that wanted to build on it, or by
ivd repo retire. What a damaged point has lost, ivd point show tells. The next backup of
its disk stores anew what was lost, as far as the disk still has it.

With --check the store is asked for every pack that the points need, whether it is
there in its length: two requests for each, or one and a listing of its folder where
that is cheaper. That a pack's content is whole only reading it shows. Of a large
estate, check disk by disk. The exit code of a check is 3 where a point is damaged;
without --check, known damage is shown, and the exit code stays 0.

Points that were forgotten (ivd forget, or a policy's keep) and that no collection has
deleted yet are left out, unless --all is given.`,
		Example: `  ivd points
  ivd points --disk data-01
  ivd points --disk 2b7f5c1e-0d7e-4f4b-9a53-0b6b7a1d2c3e -o json
  ivd points --disk 2b7f5c1e-0d7e-4f4b-9a53-0b6b7a1d2c3e --check`,
		RunE: a.withClient(func(ctx context.Context, client *api.Client, _ []string) error {
			if disk == "" && c.Flags().Changed("disk") {
				return usagef("ivd points --disk needs a disk's id or name")
			}
			q.Disk = disk
			points, err := client.Points(ctx, q)
			if err != nil {
				return err
			}
			table, not := pointTable(points)
			harm := harmOf(points)
			err = a.showList(points, func(w io.Writer) error { return errors.Join(table.Write(w), harm.write(w)) }, not, "not readable")
			if err == nil && q.Check {
				err = harm.verdict()
			}
			return err
		}),
	}
	c.Flags().StringVar(&disk, "disk", "", "only those of this `DISK`, by its id or its name, of one of several vCenters as VCENTER/DISK")
	c.Flags().BoolVar(&q.Check, "check", false, "ask the store for every pack that they need")
	c.Flags().BoolVar(&q.All, "all", false, "those that were forgotten, too")
	_ = c.RegisterFlagCompletionFunc("disk", a.diskIDs()) // fails only where it is registered twice
	return a.withServer(a.withOutput(c))
}

// pointIDs offers restore points to the shell.
func (a *app) pointIDs() cobra.CompletionFunc {
	return a.completions(func(ctx context.Context, c *api.Client) ([]cobra.Completion, error) {
		points, err := c.Points(ctx, api.PointQuery{})
		var words []cobra.Completion
		for _, p := range points {
			if p.Failure == nil && !p.Partial && len(p.Damaged) == 0 {
				words = append(words, cobra.CompletionWithDesc(p.ShortID, text.Name(p.Name)+" "+text.Time(p.Time)))
			}
		}
		return words, err
	})
}
