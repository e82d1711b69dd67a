package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"ivdmover/coordinator/api"
	"ivdmover/shared/ivd"
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
size is rounded up to whole MiB, as vSphere requires, with zeros beyond the old end.`,
		Example: `  ivd restore 2b7f5c1e-0d7e-4f4b-9a53-0b6b7a1d2c3e/20261124T231500Z-20261124t231500z-1f0c2a9b --wait
  ivd restore POINT --datastore nvme-2 --name data-yesterday`,
		Args: oneArg("POINT"),
		RunE: a.withClient(func(ctx context.Context, c *api.Client, args []string) (err error) {
			if request.Point, err = ivd.ParsePointID(args[0]); err != nil {
				return err
			}
			v, err := c.Restore(ctx, request)
			if err != nil {
				return err
			}
			return a.startedRun(ctx, c, v, wait)
		}),
	}
	c.Flags().StringVar(&request.VCenter, "vcenter", "", "the vCenter to restore to, by its `NAME` in the configuration; else where the disk was")
	c.Flags().StringVar(&request.Datastore, "datastore", "", "the `DATASTORE` to restore to, by its name or its id; else where the disk was")
	c.Flags().StringVar(&request.Name, "name", "", "the new disk's `NAME`; else the old one with the point's time")
	c.Flags().BoolVar(&wait, "wait", false, "follow the run to its end")
	c.ValidArgsFunction = a.pointIDs()
	return a.withServer(a.withOutput(c))
}

func (a *app) points() *cobra.Command {
	var disk string
	c := &cobra.Command{
		Use:   "points",
		Short: "List restore points",
		Example: `  ivd points
  ivd points --disk 2b7f5c1e-0d7e-4f4b-9a53-0b6b7a1d2c3e -o json`,
		RunE: a.withClient(func(ctx context.Context, c *api.Client, _ []string) error {
			var id ivd.DiskID
			if disk != "" {
				var err error
				if id, err = ivd.ParseDiskID(disk); err != nil {
					return err
				}
			}
			points, err := c.Points(ctx, id)
			if err != nil {
				return err
			}
			return a.show(points, func(w io.Writer) error { return writePoints(w, points) })
		}),
	}
	c.Flags().StringVar(&disk, "disk", "", "only those of this disk, by its `ID`")
	_ = c.RegisterFlagCompletionFunc("disk", a.diskIDs()) // fails only where it is registered twice
	return a.withServer(a.withOutput(c))
}

// pointIDs offers restore points to the shell.
func (a *app) pointIDs() cobra.CompletionFunc {
	return a.completions(func(ctx context.Context, c *api.Client) ([]cobra.Completion, error) {
		points, err := c.Points(ctx, "")
		var words []cobra.Completion
		for _, p := range points {
			words = append(words, cobra.CompletionWithDesc(string(p.ID), p.Name))
		}
		return words, err
	})
}
