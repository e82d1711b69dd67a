package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"ivdmover/coordinator/collect"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/open"
)

// quarantine is what `ivd repo quarantine` has done, as it is printed.
type quarantine struct {
	Point  ivd.PointID `json:"point"`
	Reason string      `json:"reason"`
	Lifted bool        `json:"lifted"`
}

func (a *app) repoQuarantine() *cobra.Command {
	var file string
	var q quarantine
	c := &cobra.Command{
		Use:   "quarantine POINT",
		Short: "Take a restore point that cannot be read out of collections",
		Long: `A restore point that cannot be read, or a page of it, stops every collection: what it needs
is not known. Where the objects are lost for good, this says so: collections go on, and
delete what only this restore point needs. The point itself stays.

Put the objects back first, if there is another copy. A restore point that can be read is
refused, and nothing changes where the store cannot be asked. With --lift collections
read it again; what they have deleted meanwhile does not come back. POINT is the point's
long name, as ivd collect says it.`,
		Example: `  ivd repo quarantine --config /etc/ivd/ivd.yaml --reason "lost with disk 7" DOMAIN/VCENTER/DISK/TIME-RUN
  ivd repo quarantine --config /etc/ivd/ivd.yaml --lift DOMAIN/VCENTER/DISK/TIME-RUN`,
		Args: oneArg("POINT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if q.Point, err = ivd.ParsePointID(strings.TrimPrefix(args[0], "points/")); err != nil {
				return &ivd.Error{Kind: ivd.Invalid, Err: err, Remedy: "give the long name that `ivd collect` says"}
			}
			if q.Reason = strings.TrimSpace(q.Reason); q.Reason == "" && !q.Lifted {
				return ivd.Errorf(ivd.Invalid, "why is not said: give --reason")
			}
			r, err := a.openRepository(cmd.Context(), file, open.Open)
			if err == nil {
				err = setQuarantine(cmd.Context(), r, q)
			}
			if err != nil {
				return err
			}
			return a.show(q, func(w io.Writer) error {
				done := "out of collections"
				if q.Lifted {
					done = "in collections again"
				}
				_, err := fmt.Fprintf(w, "%s: %s\n", done, q.Point)
				return err
			})
		},
	}
	c.Flags().StringVar(&q.Reason, "reason", "", "why, for who reads it later: a `TEXT`")
	c.Flags().BoolVar(&q.Lifted, "lift", false, "have collections read it again")
	withConfig(c, &file)
	return a.withOutput(c)
}

// setQuarantine takes a point out of collections that it finds to be unreadable, or lifts
// that.
func setQuarantine(ctx context.Context, r *repo.Repository, q quarantine) error {
	if q.Lifted {
		return r.LiftQuarantine(ctx, q.Point)
	}
	switch err := collect.Readable(ctx, r, q.Point); ivd.KindOf(err) {
	case ivd.Corrupt, ivd.NotFound:
		return r.Quarantine(ctx, q.Point, q.Reason)
	default:
		if err != nil {
			return err
		}
	}
	return ivd.Errorf(ivd.Unmet, "restore point %s can be read, with all of its pages: it stops no collection", q.Point)
}
