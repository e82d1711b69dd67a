package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/cli/text"
	"ivdmover/shared/ivd"
)

func (a *app) pin() *cobra.Command {
	var q api.KeepRequest
	c := a.keepPoint("pinned", &q, (*api.Client).Pin)
	c.Use = "pin POINT [--reason TEXT]"
	c.Short = "Keep a restore point whatever retention says"
	c.Long = `Keeps a restore point whatever a policy's keep says, until ivd unpin. A point that was
forgotten and is still there stays, too. POINT is what ivd restore takes.`
	c.Example = `  ivd pin data-01@latest --reason "before the upgrade"
  ivd pin 1f0c2a9b`
	c.Flags().StringVar(&q.Reason, "reason", "", "why, for who reads it later: a `TEXT`")
	return c
}

func (a *app) unpin() *cobra.Command {
	c := a.keepPoint("no longer pinned", &api.KeepRequest{}, (*api.Client).Unpin)
	c.Use = "unpin POINT"
	c.Short = "Take a pin off a restore point"
	c.Long = `Takes a pin off. The next run of the point's policy forgets the point if its keep does
not keep it; a point that was forgotten before it was pinned is so again, at once.`
	c.Example = `  ivd unpin 1f0c2a9b`
	return c
}

func (a *app) hold() *cobra.Command {
	var q api.KeepRequest
	var until string
	c := a.keepPoint("held", &q, (*api.Client).Hold)
	c.Use = "hold POINT --until DATE --reason TEXT"
	c.Short = "Keep a restore point until a day, for a reason"
	c.Long = `Keeps a restore point until a day has ended, for a reason that somebody may ask for later:
a law, a case. A hold can be made longer by another one, and ends sooner only by ivd
release. A point that was forgotten and is still there stays, too.

DATE is a day, 2027-01-31, of which all is meant, or a moment, 2027-01-31T12:00; both are
of this host's time zone, unless the moment has an offset.`
	c.Example = `  ivd hold data-01@latest --until 2027-01-31 --reason "case 4711"`
	c.Args = func(cmd *cobra.Command, args []string) error {
		if err := oneArg("POINT")(cmd, args); err != nil {
			return err
		}
		var err error
		if q.Until, err = endOf(until); err != nil {
			return err
		}
		return wantReason(q.Reason)
	}
	c.Flags().StringVar(&q.Reason, "reason", "", "why, for who reads it later: a `TEXT`")
	c.Flags().StringVar(&until, "until", "", "the last `DATE` of the hold")
	return c
}

func (a *app) release() *cobra.Command {
	var q api.KeepRequest
	c := a.keepPoint("no longer held", &q, (*api.Client).Release)
	c.Use = "release POINT --reason TEXT"
	c.Short = "End the hold of a restore point"
	c.Long = `Ends the hold of a restore point before its day. Why it was released stays recorded as
long as the point is there.`
	c.Example = `  ivd release 1f0c2a9b --reason "case 4711 is settled"`
	c.Args = func(cmd *cobra.Command, args []string) error {
		if err := oneArg("POINT")(cmd, args); err != nil {
			return err
		}
		return wantReason(q.Reason)
	}
	c.Flags().StringVar(&q.Reason, "reason", "", "why, for who reads it later: a `TEXT`")
	return c
}

func wantReason(reason string) error {
	if strings.TrimSpace(reason) == "" {
		return usagef("why is not said: give --reason")
	}
	return nil
}

// endOf is the end of a hold, as a person writes it.
func endOf(date string) (time.Time, error) {
	if t, err := time.ParseInLocation(time.DateOnly, date, time.Local); err == nil {
		return t.AddDate(0, 0, 1), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, date, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, &ivd.Error{Kind: ivd.Invalid, Err: fmt.Errorf("%q is no day", date), Remedy: "give --until as 2027-01-31"}
}

// keepPoint is a command that has a point kept, or not any more.
func (a *app) keepPoint(done string, q *api.KeepRequest, do func(*api.Client, context.Context, api.KeepRequest) (api.Point, error)) *cobra.Command {
	c := &cobra.Command{
		Args: oneArg("POINT"),
		RunE: a.withClient(func(ctx context.Context, c *api.Client, args []string) error {
			var err error
			if q.Point, err = pointName(args[0]); err != nil {
				return err
			}
			p, err := do(c, ctx, *q)
			if err != nil {
				return err
			}
			return a.show(p, func(w io.Writer) error {
				then := ""
				switch {
				case p.GivenUp:
					then = "; it was forgotten before, and is deleted by the next collection"
				case p.Kept != "":
					then = "; " + text.Name(p.Kept)
				}
				_, err := fmt.Fprintf(w, "restore point %s of %s, %s, is %s%s\n", p.ShortID, text.Name(p.Name), text.Time(p.Time), done, then)
				return err
			})
		}),
	}
	c.ValidArgsFunction = a.pointIDs()
	return a.withServer(a.withOutput(c))
}
