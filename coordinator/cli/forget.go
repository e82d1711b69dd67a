package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/cli/text"
	"ivdmover/shared/ivd"
)

func (a *app) forget() *cobra.Command {
	var q api.ForgetRequest
	var yes bool
	c := &cobra.Command{
		Use:   "forget (--policy NAME | POINT…) [--dry-run]",
		Short: "Give restore points up, and say which stay, and why",
		Long: `Gives restore points up: those that a policy has made and its keep does not keep, of
all disks, or those that are named. A point that was given up is no longer listed but
by ivd points --all, and a disk's name no longer finds it. Nothing is deleted: until
a collection deletes the point, it can be restored by its id, and ivd pin takes it back.

The last good point of a disk is never given up, nor is one that is pinned or held, or
that cannot be read: the command says so. After each run of a policy that keeps only
some points this is done by itself, for the disks that the run has backed up.

On a terminal the command says what would become of the points, and asks; elsewhere it
wants --yes. The exit code is 3 where some of the points that were named stay, 1 where
all of them do.`,
		Example: `  ivd forget --policy nightly --dry-run
  ivd forget --policy nightly --yes
  ivd forget 1f0c2a9b data-01@2026-11-25T22:00`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case q.Policy == "" && len(args) == 0:
				return usagef("which points is not said: give --policy, or points")
			case q.Policy != "" && len(args) > 0:
				return usagef("give --policy or points, not both")
			case q.DryRun && yes:
				return usagef("--dry-run and --yes say different things: give one of them")
			}
			return nil
		},
		RunE: a.withClient(func(ctx context.Context, c *api.Client, args []string) error {
			for _, arg := range args {
				name, err := pointName(arg)
				if err != nil {
					return err
				}
				q.Points = append(q.Points, name)
			}
			return a.forgetPoints(ctx, c, q, yes)
		}),
	}
	c.Flags().StringVar(&q.Policy, "policy", "", "the points that the policy `NAME` has made and does not keep")
	c.Flags().BoolVar(&q.DryRun, "dry-run", false, "say what would become of the points, and store nothing")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	c.ValidArgsFunction = a.pointIDs()
	return a.withServer(a.withOutput(c))
}

func (a *app) forgetPoints(ctx context.Context, c *api.Client, q api.ForgetRequest, yes bool) error {
	named := len(q.Points) > 0
	if !q.DryRun && !yes {
		if !a.attended() {
			return &ivd.Error{Kind: ivd.Invalid, Err: errors.New("nobody is here to be asked"), Remedy: "see with --dry-run what would become of the points, and then give --yes"}
		}
		would := q
		would.DryRun = true
		verdicts, err := c.Forget(ctx, would)
		if err != nil {
			return err
		}
		going := goingOf(verdicts)
		if len(going) == 0 {
			return a.showVerdicts(verdicts, true, named)
		}
		if err := writeVerdicts(a.errs, verdicts, true); err != nil {
			return err
		}
		if err := a.confirm(ctx, fmt.Sprintf("Forget %d restore points?", len(going))); err != nil {
			return err
		}
		q.Points = going // and none that was not shown
		if named {       // by ids: a name may be another point's by now
			q.Points = idsOf(verdicts)
		}
	}
	verdicts, err := c.Forget(ctx, q)
	if err != nil {
		return err
	}
	return a.showVerdicts(verdicts, q.DryRun, named)
}

// idsOf are the points that were decided about.
func idsOf(verdicts []api.Verdict) (ids []ivd.PointID) {
	for _, v := range verdicts {
		ids = append(ids, v.ID)
	}
	return ids
}

// goingOf are the points that are to be given up.
func goingOf(verdicts []api.Verdict) (ids []ivd.PointID) {
	for _, v := range verdicts {
		if !v.Stays && !v.Forgotten {
			ids = append(ids, v.ID)
		}
	}
	return ids
}

// showVerdicts shows what has become of points, or would. Where they were named, those
// that stay are an error.
func (a *app) showVerdicts(verdicts []api.Verdict, would, named bool) error {
	err := a.show(verdicts, func(w io.Writer) error { return writeVerdicts(w, verdicts, would) })
	if err != nil || !named {
		return err
	}
	var stay []string
	for _, v := range verdicts {
		if v.Stays {
			stay = append(stay, fmt.Sprintf("restore point %s stays: %s", v.ShortID, strings.Join(v.Reasons, "; ")))
		}
	}
	switch {
	case len(stay) == 0:
		return nil
	case len(stay) == len(verdicts):
		return ivd.Errorf(ivd.Unmet, "%s", some(stay))
	}
	return marked{errPartly, some(stay)}
}

func writeVerdicts(w io.Writer, verdicts []api.Verdict, would bool) error {
	t := &text.Table{Columns: []text.Column{
		text.Left("POINT"), text.Left("NAME"), text.Left("VCENTER"), text.Left("TIME"), text.Left("VERDICT"), text.Left("WHY"),
	}}
	several := several(verdicts, func(v api.Verdict) string { return v.VCenter })
	stay, gone := 0, 0
	for _, v := range verdicts {
		what := "stays"
		switch {
		case v.Stays:
			stay++
		case would && !v.Forgotten:
			what = "goes"
			gone++
		default:
			what = "forgotten"
			gone++
		}
		t.Row(v.ShortID, v.Name, several(v), text.Time(v.Time), what, strings.Join(v.Reasons, "; "))
	}
	if err := t.Write(w); err != nil {
		return err
	}
	done := "forgotten"
	if would {
		done = "to be forgotten"
	}
	_, err := fmt.Fprintf(w, "\n%s: %d; stay: %d\n", done, gone, stay)
	return err
}
