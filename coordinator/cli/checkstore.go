package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"ivdmover/coordinator/cli/progress"
	"ivdmover/coordinator/cli/text"
	"ivdmover/coordinator/serve"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/open"
	"ivdmover/shared/store/probe"
)

// storeCheck is what `ivd repo check-store` has seen, as it is printed.
type storeCheck struct {
	Store  string    `json:"store"`
	Fit    bool      `json:"fit"`  // every promise that is required is kept
	Kept   bool      `json:"kept"` // the verdict, in the repository
	Probes []finding `json:"probes"`
	Left   []string  `json:"left"` // objects that could not be deleted
}

// finding is what was seen of one promise.
type finding struct {
	Name    string        `json:"name"`
	Says    string        `json:"promise"`
	Need    probe.Need    `json:"need"`
	Outcome probe.Outcome `json:"outcome"`
	Why     string        `json:"why,omitempty"`
	Lacks   string        `json:"lacks,omitempty"`
	Remedy  string        `json:"remedy,omitempty"`
}

func (a *app) repoCheckStore() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "check-store",
		Short: "Try what the store does and does not",
		Long: `Tries on the store itself, with the credentials of the configuration, what commits and
collections rest on: that a second creation of a name is refused, and a request that is
older than its signature allows; lists, ranges, checksums, clocks, deletion, versions,
object lock, a default retention. It needs no ivd serve, takes a minute or two and some
thousands of requests, and works below a prefix of its own (check-store/), or in a folder
of its own, which it clears.

The verdict is kept in the repository, where there is one. ivd serve refuses a store that
does not keep what it must, and says what is not done on one that cannot do it.

Exit codes: 0 the store is fit; 1 it is not, or that is not known; 3 it is fit, and not
all could be tried, deleted or kept.`,
		Example: `  ivd repo check-store --config /etc/ivd/ivd.yaml
  ivd repo check-store --config /etc/ivd/ivd.yaml -o json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadForStore(file)
			if err != nil {
				return err
			}
			found, err := a.tryStore(cmd.Context(), open.Site(cfg.Repository, slog.Default()))
			if err != nil {
				return err
			}
			check := storeCheckOf(found)
			check.Store = cfg.Repository.URL
			keepErr := a.keepVerdict(cmd.Context(), file, found, &check)
			if err := a.show(check, func(w io.Writer) error { return check.write(w) }); err != nil {
				return err
			}
			return check.verdict(found, keepErr)
		},
	}
	withConfig(c, &file)
	return a.withOutput(c)
}

// tryStore tries everything, and shows what it is at.
func (a *app) tryStore(ctx context.Context, site probe.Site) (probe.Findings, error) {
	wait := progress.NewWait(a.errs, time.Now)
	defer wait.Show("")
	return probe.Run(ctx, site, probe.All, func(n int, p probe.Probe) {
		wait.Show(fmt.Sprintf("trying %d of %d: %s", n, len(probe.All), p.Says))
	})
}

func storeCheckOf(found probe.Findings) storeCheck {
	c := storeCheck{Fit: true, Probes: []finding{}, Left: append([]string{}, found.Left.Names...)}
	for _, v := range found.Verdicts {
		f := finding{Name: v.Probe.Name, Says: v.Probe.Says, Need: v.Probe.Need, Outcome: v.Outcome}
		if v.Err != nil {
			f.Why, f.Lacks, f.Remedy = v.Err.Error(), v.Probe.Lacks, ivd.RemedyOf(v.Err)
		}
		c.Fit = c.Fit && !v.Forbids() && !v.Open()
		c.Probes = append(c.Probes, f)
	}
	return c
}

// keepVerdict stores the verdict in the repository, where there is one.
func (a *app) keepVerdict(ctx context.Context, file string, found probe.Findings, c *storeCheck) error {
	r, err := a.openRepository(ctx, file, open.Open)
	if errors.Is(err, repo.ErrNone) {
		return nil // `ivd repo init` tries what a new one needs
	}
	if err == nil {
		c.Store = r.Store().String()
		err = serve.KeepVerdict(ctx, r, found.Verdicts)
	}
	c.Kept = err == nil
	return err
}

func (c storeCheck) write(w io.Writer) error {
	t := text.Table{Columns: []text.Column{text.Left("PROMISE"), text.Left("NEED"), text.Left("VERDICT")}}
	for _, f := range c.Probes {
		t.Row(f.Says, string(f.Need), string(f.Outcome))
	}
	if err := t.Write(w); err != nil {
		return err
	}
	for _, f := range c.Probes {
		if f.Outcome == probe.Kept {
			continue
		}
		fmt.Fprintf(w, "\n%s: %s\n", f.Name, f.Why)
		if f.Lacks != "" {
			fmt.Fprintf(w, "  so: %s\n", f.Lacks)
		}
		if f.Remedy != "" {
			fmt.Fprintf(w, "  do: %s\n", f.Remedy)
		}
	}
	for i, name := range c.Left {
		if i == 0 {
			fmt.Fprintln(w, "\nleft, since these credentials could not delete it:")
		}
		if i == hurtShown {
			fmt.Fprintf(w, "  and %d more\n", len(c.Left)-i)
			break
		}
		fmt.Fprintf(w, "  %s\n", name)
	}
	_, err := fmt.Fprintln(w, "\n"+c.sum())
	return err
}

// sum is the verdict in a line.
func (c storeCheck) sum() string {
	line := "the store is fit for a repository"
	if !c.Fit {
		line = "the store is not fit for a repository, or that is not known"
	}
	if c.Kept {
		return line + "; ivd serve goes by this verdict"
	}
	return line + "; the verdict is not kept"
}

// verdict is the error that the command ends with.
func (c storeCheck) verdict(found probe.Findings, keepErr error) error {
	for _, v := range found.Verdicts {
		if v.Forbids() || v.Open() {
			return &ivd.Error{Kind: ivd.KindOf(v.Err), Err: marked{errRun, fmt.Sprintf("%s: %v", v.Probe.Says, v.Err)}, Remedy: ivd.RemedyOf(v.Err)}
		}
	}
	if keepErr != nil {
		return &ivd.Error{Err: marked{errPartly, "the verdict could not be kept: " + keepErr.Error()}, Remedy: ivd.RemedyOf(keepErr)}
	}
	for _, v := range found.Verdicts {
		if v.Outcome == probe.Untried {
			return marked{errPartly, fmt.Sprintf("%s: it could not be tried: %v", v.Probe.Name, v.Err)}
		}
	}
	if found.Left.Err != nil {
		return marked{errPartly, fmt.Sprintf("%d objects could not be deleted: %v", len(c.Left), found.Left.Err)}
	}
	return nil
}
