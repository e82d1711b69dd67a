package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/cli/text"
	"ivdmover/shared/ivd"
)

func (a *app) disks() *cobra.Command {
	var q api.DiskQuery
	c := &cobra.Command{
		Use:   "disks",
		Short: "List the estate's disks and when each was last backed up",
		Long: `Lists the disks of every vCenter and when each was last backed up. A disk that a
restore makes, or has left half-written, is shown with that restore's run: it is
none of the estate's, and no backup takes it until it has its name.`,
		Example: `  ivd disks
  ivd disks --unprotected
  ivd disks --datastore nvme-1 -o json`,
		RunE: a.withClient(func(ctx context.Context, c *api.Client, _ []string) error {
			disks, err := c.Disks(ctx, q)
			if err != nil {
				return err
			}
			table, not := diskTable(disks)
			return a.showList(disks, table.Write, not, "not listed")
		}),
	}
	c.Flags().StringVar(&q.Datastore, "datastore", "", "only disks on this `DATASTORE`, by its name or its id")
	c.Flags().BoolVar(&q.Unprotected, "unprotected", false, "only disks without a restore point")
	return a.withServer(a.withOutput(c))
}

func (a *app) snapshots() *cobra.Command {
	c := &cobra.Command{
		Use:   "snapshots",
		Short: "List the snapshots that ivd made in vSphere",
		Long: `Lists the snapshots of disks that backups and examinations by ivd-mover doctor made.
Each is deleted when its backup or examination ends, or by the next start of
ivd serve. One that a run of another repository, or an older ivd, has left is
shown, and goes only by ivd snapshots delete. Snapshots of other programs are
neither shown nor touched.`,
		Example: `  ivd snapshots
  ivd snapshots -o json
  ivd snapshots delete 4f6b1f0e-8e0c-4f5b-9f0a-6d2f1c7b8a90`,
		RunE: a.withClient(func(ctx context.Context, c *api.Client, _ []string) error {
			snapshots, err := c.Snapshots(ctx)
			if err != nil {
				return err
			}
			table, not := snapshotTable(snapshots)
			return a.showList(snapshots, table.Write, not, "not listed")
		}),
	}
	c.AddCommand(a.deleteSnapshot())
	return a.withServer(a.withOutput(c))
}

func (a *app) deleteSnapshot() *cobra.Command {
	var vcenter string
	c := &cobra.Command{
		Use:   "delete SNAPSHOT",
		Short: "Delete a snapshot that a run has left",
		Long: `Deletes a snapshot that ivd snapshots lists, and waits until it is gone, which takes
hours where much was written since. An interrupt ends the wait, and not what vCenter
has begun. A snapshot of a run
of this repository that is under way, or whose lease still stands, is refused, and
so is one that another program has made. Of other repositories nothing is known
here: look there first whether the run is over.`,
		Example: `  ivd snapshots delete 4f6b1f0e-8e0c-4f5b-9f0a-6d2f1c7b8a90
  ivd snapshots delete 4f6b1f0e-8e0c-4f5b-9f0a-6d2f1c7b8a90 --vcenter east`,
		Args: oneArg("SNAPSHOT"),
		RunE: a.withClient(func(ctx context.Context, c *api.Client, args []string) error {
			err := c.DeleteSnapshot(ctx, ivd.SnapshotID(args[0]), vcenter)
			return unknownEnd(ctx, err, "what vCenter has begun goes on", "`ivd snapshots` lists the snapshot as long as it is there")
		}),
	}
	c.Flags().StringVar(&vcenter, "vcenter", "", "look only in the vCenter that the configuration calls `NAME`")
	return a.withServer(c)
}

func (a *app) movers() *cobra.Command {
	c := &cobra.Command{
		Use:   "movers",
		Short: "List the live movers and what they do",
		Long:  "Lists the live movers and what they do. Where none takes jobs, the reason stands below\nthe list, with what is known of the last mover that ended.",
		Example: `  ivd movers
  ivd movers -o json
  ivd movers add proxy-1 --config /etc/ivd/ivd.yaml`,
		RunE: a.withClient(func(ctx context.Context, c *api.Client, _ []string) error {
			movers, err := c.Movers(ctx)
			if err != nil {
				return err
			}
			short, err := c.Shortage(ctx)
			if err != nil {
				return err
			}
			return a.showList(movers, func(w io.Writer) error { return writeMovers(w, movers, short.Failure) }, unreadMovers(movers), "not readable")
		}),
	}
	c.AddCommand(a.addMover())
	return a.withServer(a.withOutput(c))
}

// diskIDs offers the estate's disks to the shell, with their vCenters where two of them
// have the same id.
func (a *app) diskIDs() cobra.CompletionFunc {
	return a.completions(func(ctx context.Context, c *api.Client) ([]cobra.Completion, error) {
		disks, err := c.Disks(ctx, api.DiskQuery{})
		times := map[ivd.DiskID]int{}
		for _, d := range disks {
			times[d.ID]++
		}
		var words []cobra.Completion
		for _, d := range disks {
			if d.Failure == nil && d.Unfinished == "" {
				word := string(d.ID)
				if times[d.ID] > 1 {
					word = d.VCenter + "/" + word
				}
				words = append(words, cobra.CompletionWithDesc(word, text.Name(d.Name+" on "+d.Datastore+" of "+d.VCenter)))
			}
		}
		return words, err
	})
}
