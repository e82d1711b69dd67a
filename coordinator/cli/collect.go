package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path"
	"time"

	"github.com/spf13/cobra"

	"ivdmover/coordinator/catalogue"
	"ivdmover/coordinator/cli/progress"
	"ivdmover/coordinator/cli/text"
	"ivdmover/coordinator/collect"
	"ivdmover/coordinator/keyring"
	"ivdmover/coordinator/news"
	"ivdmover/coordinator/serve"
	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/open"
	"ivdmover/shared/telemetry"
)

func (a *app) collect() *cobra.Command {
	var file, share string
	var dryRun bool
	c := &cobra.Command{
		Use:   "collect",
		Short: "Delete what no restore point names",
		Long: `Deletes the restore points that were given up, and the packs that no other one needs.
Backups, restores and other collections may run meanwhile, on any host.

A collection first publishes a list of what is to go; then it waits until every run and
restore has ended that had begun before; then it deletes. It does not stay for that wait:
it says for which leases, and by when they end at the latest, and the next collection, on
whatever host, goes on where this one stopped. So it is after an interrupt, too. ivd serve
collects daily (collect.schedule), unless it lacks the keys or the right to delete. With --dry-run it shows what would go, and for what it would wait.

Where the repository is not what this host has seen of it before, nothing is collected
until a person has looked (ivd repo adopt). It uses the credentials of collect.credentials_file where that is set; nobody else needs
the right to delete. It refuses to condemn more than collect.max_share of the packs.`,
		Example: `  ivd collect --config /etc/ivd/ivd.yaml --dry-run
  ivd collect --config /etc/ivd/ivd.yaml
  ivd collect --config /etc/ivd/ivd.yaml --max-share 100% -o json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, r, err := a.openToCollect(cmd.Context(), file)
			if err != nil {
				return err
			}
			most := cfg.Collect.MaxShare
			if share != "" {
				if most, err = config.ParsePercent(share); err != nil {
					return usagef("--max-share: %w", err)
				}
			}
			o := collect.Options{MinAge: cfg.Collect.MinAge.Std(), MaxShare: float64(most) / 100, DryRun: dryRun}
			if err := asSeen(cmd.Context(), cfg.StateDir, r); err != nil { // what was brought back to an earlier state names too little
				return err
			}
			wait := progress.NewWait(a.errs, time.Now)
			rep, err := collect.New(r, o).Collect(news.To(cmd.Context(), wait.Show))
			wait.Show("")
			if err != nil {
				return err
			}
			return a.show(rep, func(w io.Writer) error { return writeCollection(w, rep, r.Now()) })
		},
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show what would go, and store and delete nothing")
	c.Flags().StringVar(&share, "max-share", "", "condemn up to this share of all packs, such as 100%, in place of collect.max_share: `P%`")
	withConfig(c, &file)
	return a.withOutput(c)
}

// openToCollect opens the repository with the credentials that may delete.
func (a *app) openToCollect(ctx context.Context, file string) (*config.Config, *repo.Repository, error) {
	cfg, err := loadForStore(file)
	if err != nil {
		return nil, nil, err
	}
	st, err := open.Open(ctx, cfg.ToCollect())
	if err != nil {
		return nil, nil, err
	}
	r, err := keyring.Open(ctx, st, cfg.Repository, keyring.Options{Ask: a.askPassphrase(), Log: slog.Default()})
	if err == nil {
		err = serve.Heed(ctx, r, slog.Default())
	}
	return cfg, r, err
}

func writeCollection(w io.Writer, rep collect.Report, now time.Time) error {
	condemned, deleted := "condemned", "deleted"
	if rep.DryRun {
		condemned, deleted = "would be condemned", ""
	}
	fmt.Fprintf(w, "%s: %s, %s\n", condemned, counted(rep.Condemned), telemetry.Bytes(rep.Bytes))
	if rep.DryRun {
		for _, id := range rep.Points {
			fmt.Fprintf(w, "  goes: %s\n", id)
		}
	}
	if rep.Refused != "" {
		fmt.Fprintf(w, "a collection would refuse this: %s; where it is meant, run ivd collect --max-share 100%%\n", rep.Refused)
	}
	if deleted != "" {
		fmt.Fprintf(w, "%s: %s\n", deleted, counted(rep.Deleted))
	}
	if rep.Spared != (collect.Counts{}) {
		fmt.Fprintf(w, "spared, since restore points need it that were made meanwhile, or must stay: %s\n", counted(rep.Spared))
	}
	if rep.Young > 0 {
		fmt.Fprintf(w, "not yet condemned: %d packs that no restore point needs, and that are younger than collect.min_age\n", rep.Young)
	}
	if rep.Locked > 0 {
		fmt.Fprintf(w, "not yet condemned: %d packs that no restore point needs, and that are locked in the bucket\n", rep.Locked)
	}
	for _, k := range rep.Kept {
		fmt.Fprintf(w, "stays, though it was given up: %s: %s\n", k.Point, text.Name(k.Why))
	}
	for _, why := range rep.Ignored {
		fmt.Fprintf(w, "a mark beside a restore point has no effect: %s\n", text.Name(why))
	}
	for _, l := range rep.Lists {
		writeList(w, l, now)
	}
	if rep.VersionsKept != "" {
		fmt.Fprintf(w, "older versions of what was deleted are kept, and take their space: %s\n", rep.VersionsKept)
	}
	return nil
}

// writeList tells how far a list is.
func writeList(w io.Writer, l collect.List, now time.Time) {
	switch {
	case l.Done != nil:
		fmt.Fprintf(w, "list %s (%s): done %s\n", l.ID, counted(l.Named), text.Time(*l.Done))
	case len(l.Waiting) == 0:
		fmt.Fprintf(w, "list %s (%s): waits for nobody; run ivd collect again\n", l.ID, counted(l.Named))
	default:
		fmt.Fprintf(w, "list %s (%s): waits for\n", l.ID, counted(l.Named))
	}
	for _, lease := range l.Waiting {
		who := lease.Owner
		if who == "" {
			who = "somebody unknown"
		}
		fmt.Fprintf(w, "  lease %s of %s, until it is ended, or %s at the latest (in %s)\n", lease.ID, text.Name(who), text.Time(lease.Deadline), lease.Deadline.Sub(now).Round(time.Minute))
	}
}

func counted(n collect.Counts) string {
	return fmt.Sprintf("%d restore points, %d packs, %d writers' records", n.Points, n.Packs, n.Writers)
}

// needing is which restore points need a pack, as it is printed.
type needing struct {
	Pack   ivd.PackID     `json:"pack"`
	Points []needingPoint `json:"points"`
}

type needingPoint struct {
	ID      ivd.PointID `json:"id"`
	ShortID string      `json:"short_id"`
	Name    string      `json:"name"`
	Time    time.Time   `json:"time"`
}

func (a *app) repoNeeds() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "needs PACK",
		Short: "Show which restore points need a pack",
		Long: `Reads the pages of all restore points, and shows those that need the pack: as long as one
of them stands, no collection deletes it. PACK is a pack's id, or its name in the bucket.`,
		Example: `  ivd repo needs --config /etc/ivd/ivd.yaml 1b4f…`,
		Args:    oneArg("PACK"),
		RunE: func(cmd *cobra.Command, args []string) error {
			pack, err := ivd.ParsePackID(path.Base(args[0]))
			if err != nil {
				return &ivd.Error{Kind: ivd.Invalid, Err: err, Remedy: "`ivd points -o json` shows the packs of damaged restore points"}
			}
			r, err := a.openRepository(cmd.Context(), file, open.Open)
			if err != nil {
				return err
			}
			wait := progress.NewWait(a.errs, time.Now)
			ctx := news.To(cmd.Context(), wait.Show)
			found, err := collect.Needs(ctx, r, pack)
			var points []catalogue.Point
			if err == nil {
				points, err = catalogue.New(r).Points(ctx, catalogue.Disk{})
			}
			wait.Show("")
			if err != nil {
				return err
			}
			shown := needing{Pack: pack, Points: []needingPoint{}}
			for _, p := range points {
				if found[p.ID] {
					at, _ := p.Moment()
					shown.Points = append(shown.Points, needingPoint{p.ID, p.Short, p.Name, at})
				}
			}
			return a.show(shown, func(w io.Writer) error { return writeNeeding(w, shown) })
		},
	}
	withConfig(c, &file)
	return a.withOutput(c)
}

func writeNeeding(w io.Writer, n needing) error {
	_, err := fmt.Fprintf(w, "needed by %d restore points\n", len(n.Points))
	for _, p := range n.Points {
		_, e := fmt.Fprintf(w, "  %s  %s  %s\n", p.ShortID, text.Name(p.Name), text.Time(p.Time))
		err = errors.Join(err, e)
	}
	return err
}
