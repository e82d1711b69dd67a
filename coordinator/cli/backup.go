package cli

import (
	"context"

	"github.com/spf13/cobra"

	"ivdmover/coordinator/api"
	"ivdmover/shared/ivd"
)

func (a *app) backup() *cobra.Command {
	var (
		request api.BackupRequest
		disks   []string
		wait    bool
	)
	c := &cobra.Command{
		Use:   "backup (--all | --policy NAME | --disk DISK…)",
		Short: "Back up disks",
		Long: `Starts a backup and prints the id of its run. With --wait it follows the run to its
end; the exit code is then 0 when every disk is done, 3 when some failed, 1 when
none is done. An interrupt ends the wait, not the run.`,
		Example: `  ivd backup --all --wait
  ivd backup --policy nightly
  ivd backup --disk data-01 --wait
  ivd backup --disk 2b7f5c1e-0d7e-4f4b-9a53-0b6b7a1d2c3e --full --wait -o json
  ivd backup --disk east/2b7f5c1e-0d7e-4f4b-9a53-0b6b7a1d2c3e`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 && len(disks) == 0 {
				return usagef("ivd backup got %q: name disks with --disk", args[0])
			}
			return nil
		},
		RunE: a.withClient(func(ctx context.Context, c *api.Client, more []string) error {
			request.Disks = append(disks, more...)
			if err := oneWay(request); err != nil {
				return err
			}
			v, err := c.Backup(ctx, request)
			if err != nil {
				return mayHaveBegun(ctx, err)
			}
			return a.startedRun(ctx, c, v, wait)
		}),
	}
	c.Flags().BoolVar(&request.All, "all", false, "every disk of every vCenter")
	c.Flags().StringVar(&request.Policy, "policy", "", "the disks that the policy `NAME` selects")
	c.Flags().StringSliceVar(&disks, "disk", nil, "this `DISK`, by its id, the beginning of one, or a name that no other disk has, of one of several vCenters as VCENTER/DISK; may be repeated")
	c.Flags().StringVar(&request.VCenter, "vcenter", "", "only disks of the vCenter that the configuration calls `NAME`: of two disks with one id, the one there")
	c.Flags().BoolVar(&request.Full, "full", false, "read everything that is allocated, not only what changed; nothing is stored twice")
	c.Flags().BoolVar(&wait, "wait", false, "follow the run to its end")
	_ = c.RegisterFlagCompletionFunc("disk", a.diskIDs()) // fails only where it is registered twice
	return a.withServer(a.withOutput(c))
}

// oneWay requires that disks are named in exactly one way.
func oneWay(r api.BackupRequest) error {
	ways := 0
	for _, given := range []bool{r.All, r.Policy != "", len(r.Disks) > 0} {
		if given {
			ways++
		}
	}
	switch ways {
	case 0:
		return &ivd.Error{Kind: ivd.Invalid, Err: usagef("ivd backup needs to know which disks"), Remedy: "give --all, --policy or --disk"}
	case 1:
		return nil
	}
	return &ivd.Error{Kind: ivd.Invalid, Err: usagef("ivd backup: disks are named in several ways"), Remedy: "give one of --all, --policy and --disk"}
}
