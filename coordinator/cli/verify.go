package cli

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"ivdmover/coordinator/api"
	"ivdmover/shared/job"
)

func (a *app) verify() *cobra.Command {
	var o verifyOptions
	var file string
	var c *cobra.Command
	c = &cobra.Command{
		Use:   "verify POINT... | --all | --disk DISK | --policy P | --packs WHICH | --keyless",
		Short: "Read restore points back and check them, on the movers",
		Long: `Starts a run in which the movers read restore points as a restore reads them, and write
nothing: every chunk is fetched, opened and compared with its name. With --sample only so
much of each point is read, another part in each run; with --structure its pages and nodes,
and the directories of the packs that they name, and no content.

A pack of which something is wrong is read whole, by the mover and then by the coordinator.
What both find missing or wrong is retired: later backups do not build on it, and the next
backup of a disk stores anew what it still has. The point's failure says what of the disk is
lost, and ivd points shows every other point that needs the pack. A pack that is whole when
it is read again was no damage, and is read again.

With --packs the packs of the repository are read, whatever points need them, each once: new,
those that backups have stored and of which nobody has opened every frame yet, by another
mover than has stored them where there is one (then other movers' backups build on them);
due, the share of all whose turn it is, so that with one run a day each pack is compared
with its name within repository.verify.every; or all. A run that was cancelled, or that
failed, has its folders read by the next one.

With --keyless this command reads every pack itself, by the store's credentials in --config,
and compares it with its name, which is the hash of its bytes: any host does that without a
key of the repository and without a coordinator. It changes nothing.

Points are named as for ivd restore. With --all, --disk or --policy those are left out that
were forgotten, or are partial. The exit code of --wait, and of ivd run show --follow, is 3
where some points are not whole, and 1 where none is.`,
		Example: `  ivd verify data-01@latest --wait
  ivd verify --policy nightly --sample 5 --wait
  ivd verify --all --structure
  ivd verify --disk data-01 -o json
  ivd verify --packs new --wait
  ivd verify --packs due
  ivd verify --keyless --config /etc/ivd/store-only.yaml`,
		Args: func(_ *cobra.Command, args []string) error { return o.check(c.Flags().Changed, args) },
	}
	asked := a.withClient(func(ctx context.Context, client *api.Client, args []string) error {
		for _, arg := range args {
			name, err := pointName(arg)
			if err != nil {
				return err
			}
			o.Points = append(o.Points, name)
		}
		switch {
		case o.Packs != "":
		case o.structure:
			o.Depth = job.Structure
		case o.Percent > 0:
			o.Depth = job.Sample
		default:
			o.Depth = job.Whole
		}
		v, err := client.Verify(ctx, o.VerifyRequest)
		if err != nil {
			return mayHaveBegun(ctx, err)
		}
		return a.startedRun(ctx, client, v, o.wait)
	})
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if o.keyless {
			return a.verifyKeyless(cmd.Context(), file)
		}
		return asked(cmd, args)
	}
	c.Flags().BoolVar(&o.keyless, "keyless", false, "read every pack, without a key and without a coordinator")
	withConfig(c, &file)
	c.Flags().BoolVar(&o.All, "all", false, "all points that can be restored")
	c.Flags().StringVar(&o.Disk, "disk", "", "those of this `DISK`, by its id or its name, of one of several vCenters as VCENTER/DISK")
	c.Flags().StringVar(&o.Policy, "policy", "", "those that the policy `NAME` has made")
	c.Flags().StringVar(&o.Packs, "packs", "", "in place of points, packs, `WHICH`: new, due or all")
	c.Flags().IntVar(&o.Percent, "sample", 0, "read `PERCENT` of each point")
	c.Flags().BoolVar(&o.structure, "structure", false, "read no content")
	c.Flags().BoolVar(&o.wait, "wait", false, "follow the run to its end")
	c.ValidArgsFunction = a.pointIDs()
	_ = c.RegisterFlagCompletionFunc("disk", a.diskIDs()) // fails only where it is registered twice
	return a.withServer(a.withOutput(c))
}

// verifyOptions are those of `ivd verify`.
type verifyOptions struct {
	api.VerifyRequest
	structure, wait, keyless bool
}

// check wants what is read to be said in one way; given reports whether a flag was given.
func (o *verifyOptions) check(given func(string) bool, args []string) error {
	ways := 0
	for _, named := range []bool{o.All, given("disk"), given("policy"), given("packs"), o.keyless, len(args) > 0} {
		if named {
			ways++
		}
	}
	switch {
	case ways == 0:
		return usagef("which points is not said: name some, or give --all, --disk, --policy, --packs or --keyless")
	case ways > 1:
		return usagef("give points, --all, --disk, --policy, --packs or --keyless: one of them")
	}
	return o.checkDepth(given)
}

// checkDepth refuses flags that do not go with what is read.
func (o *verifyOptions) checkDepth(given func(string) bool) error {
	switch sample := given("sample"); {
	case o.keyless && (sample || o.structure || o.wait):
		return usagef("--keyless reads all packs, here and at once: give no --sample, --structure or --wait")
	case !o.keyless && given("config"):
		return usagef("--config goes with --keyless: all else asks the server")
	case given("packs") && !slices.Contains([]string{"new", "due", "all"}, o.Packs):
		return usagef("--packs %s: want new, due or all", o.Packs)
	case o.Packs != "" && (sample || o.structure):
		return usagef("--sample and --structure are of points: packs are read whole")
	case sample && o.structure:
		return usagef("--sample and --structure say different things: give one of them")
	case sample && (o.Percent < 1 || o.Percent > 100):
		return usagef("--sample %d: want 1 to 100", o.Percent)
	}
	return nil
}
