package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/cli/progress"
	"ivdmover/coordinator/cli/text"
	"ivdmover/coordinator/cost"
	"ivdmover/coordinator/policy"
	"ivdmover/coordinator/schedule"
	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store"
	"ivdmover/shared/telemetry"
)

// storedCost is what a repository stores, as it is printed.
type storedCost struct {
	Repository string       `json:"repository"`
	Kinds      []storedKind `json:"kinds"`
	Objects    int64        `json:"objects"`
	Bytes      int64        `json:"bytes"`
	Currency   string       `json:"currency,omitempty"`
	Month      *float64     `json:"month,omitempty"` // what storing it for a month costs; null without prices
}

// storedKind is what lies below one folder of the repository.
type storedKind struct {
	Kind    string `json:"kind"`
	Objects int64  `json:"objects"`
	Bytes   int64  `json:"bytes"`
}

// forecastCost is what a policy takes, as it is printed.
type forecastCost struct {
	Policy      string           `json:"policy"`
	Assumptions cost.Assumptions `json:"assumptions"`
	cost.Forecast

	Currency string  `json:"currency,omitempty"`
	Price    *priced `json:"price,omitempty"` // null without prices
}

// priced is what the parts of a forecast cost.
type priced struct {
	FirstRun     float64 `json:"first_run"` // its requests, and what it reads
	NextRun      float64 `json:"next_run"`
	FirstMonth   float64 `json:"first_month"` // with what is stored at its end
	TwelfthMonth float64 `json:"twelfth_month"`
}

// costOptions are those of `ivd repo cost`.
type costOptions struct {
	file, policy string
	used, stored config.Percent
	change       config.Percent
	runsPerDay   float64
}

func (a *app) repoCost() *cobra.Command {
	o := costOptions{used: 50, stored: 60, change: 2, runsPerDay: 1}
	c := &cobra.Command{
		Use:   "cost",
		Short: "Show what the repository stores and costs, or what a policy will",
		Long: `Lists the store, and shows how many objects and bytes of each kind there are. With
repository.prices it says what they cost a month. Older versions that a bucket keeps are
in no list: the service's own bill has them.

With --policy it forecasts what a policy takes, before its first run: requests of each
kind, objects and bytes of the first run and of each later one, and of the first and the
twelfth month, with what is checked, read again, locked and collected in them as the
configuration says, and with what the policy keeps by then. ivd serve is asked which disks
there are. What they hold, nobody knows before it was read: it is assumed, as the flags
say. A changed byte counts as its whole chunk.`,
		Example: `  ivd repo cost --config /etc/ivd/ivd.yaml
  ivd repo cost --config /etc/ivd/ivd.yaml --policy nightly
  ivd repo cost --config /etc/ivd/ivd.yaml --policy nightly --used 70% --change 5% -o json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.policy == "" {
				for _, name := range []string{"used", "stored", "change", "runs-per-day"} {
					if cmd.Flags().Changed(name) {
						return usagef("--%s is of a forecast: give --policy", name)
					}
				}
				return a.showStored(cmd.Context(), o.file)
			}
			return a.showForecast(cmd.Context(), o)
		},
	}
	withConfig(c, &o.file)
	c.Flags().StringVar(&o.policy, "policy", "", "forecast what this `POLICY` takes")
	c.Flags().Var(&share{&o.used}, "used", "the `SHARE` of a disk that has content")
	c.Flags().Var(&share{&o.stored}, "stored", "the `SHARE` of content that is left once it is compressed and deduplicated")
	c.Flags().Var(&share{&o.change}, "change", "the `SHARE` of content that changes from run to run")
	c.Flags().Float64Var(&o.runsPerDay, "runs-per-day", o.runsPerDay, "how often the policy runs: `N`")
	return a.withServer(a.withOutput(c))
}

// share is the value of a flag that is a percentage.
type share struct{ p *config.Percent }

func (s *share) String() string {
	if s.p == nil {
		return ""
	}
	return s.p.String()
}

// Set reads "10%".
func (s *share) Set(text string) (err error) { *s.p, err = config.ParsePercent(text); return err }

// Type is what help calls it.
func (s *share) Type() string { return "share" }

// pricesOf are the prices of a configuration; nil where it has none.
func pricesOf(p config.Prices) *cost.Prices {
	prices := cost.Prices{
		Storage: float64(p.Storage), Put: float64(p.Put), Get: float64(p.Get), List: float64(p.List), Delete: float64(p.Delete), Received: float64(p.Received),
	}
	if prices == (cost.Prices{}) {
		return nil
	}
	return &prices
}

// noPrices is what is told where a configuration has no prices.
const noPrices = "no prices are known: set repository.prices, by the service's list (currency, storage, put, get, list, delete, received)"

func (a *app) showStored(ctx context.Context, file string) error {
	cfg, err := loadForStore(file)
	if err != nil {
		return err
	}
	st, info, err := described(ctx, cfg.Repository)
	if err != nil {
		return err
	}
	shown, err := a.stored(ctx, st)
	if err != nil {
		return err
	}
	shown.Repository, shown.Currency = info.ID, cfg.Repository.Prices.Currency
	if p := pricesOf(cfg.Repository.Prices); p != nil {
		month := p.Bytes(shown.Bytes)
		shown.Month = &month
	}
	return a.show(shown, func(w io.Writer) error { return shown.write(w) })
}

// described opens a store for reading, and what its repository says of itself.
func described(ctx context.Context, r config.Repository) (store.Store, repo.Info, error) {
	st, err := whatIsThere(ctx, r)
	if err != nil {
		return nil, repo.Info{}, err
	}
	info, err := repo.ReadInfo(ctx, st)
	return st, info, err
}

// stored lists all objects.
func (a *app) stored(ctx context.Context, st store.Store) (c storedCost, err error) {
	wait := progress.NewWait(a.errs, time.Now)
	defer wait.Show("")
	kinds := map[string]*storedKind{}
	for o, err := range st.List(ctx, "") {
		if err != nil {
			return c, fmt.Errorf("list the store: %w", err)
		}
		kind, _, in := strings.Cut(string(o.Name), "/")
		if !in {
			kind = "repo.json"
		}
		k := kinds[kind]
		if k == nil {
			k = &storedKind{Kind: kind}
			kinds[kind] = k
		}
		k.Objects++
		k.Bytes += o.Size
		c.Objects++
		c.Bytes += o.Size
		if c.Objects%1000 == 0 {
			wait.Show(fmt.Sprintf("listing the store: %d objects", c.Objects))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		c.Kinds = append(c.Kinds, *kinds[name])
	}
	return c, nil
}

func (c storedCost) write(w io.Writer) error {
	t := text.Table{Columns: []text.Column{text.Left("KIND"), text.Right("OBJECTS"), text.Right("BYTES")}}
	for _, k := range c.Kinds {
		t.Row(k.Kind, fmt.Sprint(k.Objects), telemetry.Bytes(k.Bytes))
	}
	t.Row("all", fmt.Sprint(c.Objects), telemetry.Bytes(c.Bytes))
	if err := t.Write(w); err != nil {
		return err
	}
	line := noPrices
	if c.Month != nil {
		line = fmt.Sprintf("stored for a month: %s", money(*c.Month, c.Currency))
	}
	_, err := fmt.Fprintf(w, "\n%s\n", line)
	return err
}

func money(amount float64, currency string) string {
	return strings.TrimSpace(fmt.Sprintf("%.2f %s", amount, text.Name(currency)))
}

func (a *app) showForecast(ctx context.Context, o costOptions) error {
	cfg, err := loadForStore(o.file)
	if err != nil {
		return err
	}
	as := cost.Assumptions{Used: float64(o.used) / 100, Stored: float64(o.stored) / 100, Change: float64(o.change) / 100, RunsPerDay: o.runsPerDay}
	if err := as.Check(); err != nil {
		return usagef("%w", err)
	}
	p, err := policy.Named(cfg.Policies, o.policy)
	if err == nil {
		err = policy.Check(p)
	}
	if err != nil {
		return err
	}
	rules, err := policy.Rules(p)
	if err != nil {
		return err
	}
	_, info, err := described(ctx, cfg.Repository)
	if err != nil {
		return err
	}
	up, err := upkeepOf(cfg)
	if err != nil {
		return err
	}
	capacities, lacking, err := a.capacitiesOf(ctx, p)
	if err != nil {
		return err
	}
	shown := forecastCost{
		Policy: p.Name, Assumptions: as, Currency: cfg.Repository.Prices.Currency,
		Forecast: cost.Of(capacities, cost.Packs{ChunkSize: info.ChunkSize, PackSize: info.PackSize}, as, rules, up),
	}
	if prices := pricesOf(cfg.Repository.Prices); prices != nil {
		shown.Price = &priced{prices.Run(shown.First), prices.Run(shown.Next), prices.Month(shown.FirstMonth), prices.Month(shown.TwelfthMonth)}
	}
	if err := a.show(shown, func(w io.Writer) error { return shown.write(w) }); err != nil {
		return err
	}
	if lacking > 0 {
		return marked{errPartly, fmt.Sprintf("the forecast lacks what could not be listed: %d disks, datastores or vCenters; see `ivd disks`", lacking)}
	}
	return nil
}

// upkeepOf is what the configuration has done with what is stored.
func upkeepOf(cfg *config.Config) (up cost.Upkeep, err error) {
	r := cfg.Repository
	up.Recheck, up.Lock = r.Recheck.Std(), r.Lock.For.Std()
	if r.Verify.Schedule != "" {
		up.Verify = r.Verify.Every.Std()
	}
	if cfg.Collect.Schedule == "" {
		return up, nil
	}
	zone, err := cfg.Collect.Zone()
	if err != nil {
		return up, cfg.Problem("collect.timezone", err)
	}
	s, err := schedule.Parse(cfg.Collect.Schedule, zone)
	if err != nil {
		return up, cfg.Problem("collect.schedule", err)
	}
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	n := 0
	for at := s.Next(from); !at.IsZero() && at.Before(from.AddDate(0, 0, 30)); at = s.Next(at) {
		n++
	}
	if n > 0 {
		up.Collect = 30 * 24 * time.Hour / time.Duration(n)
	}
	return up, nil
}

// capacitiesOf are those of the disks that a policy selects, and how many things could not
// be listed.
func (a *app) capacitiesOf(ctx context.Context, p config.Policy) (capacities []int64, lacking int, err error) {
	c, err := a.client()
	if err != nil {
		return nil, 0, err
	}
	defer c.Close()
	disks, err := c.Disks(ctx, api.DiskQuery{})
	if err != nil {
		return nil, 0, err
	}
	for _, d := range disks {
		switch {
		case d.Failure != nil:
			lacking++
		case d.Unfinished == "" && policy.Selects(p, d.Datastore, d.Name):
			capacities = append(capacities, d.Capacity)
		}
	}
	if len(capacities) == 0 {
		return nil, lacking, &ivd.Error{Kind: ivd.NotFound, Err: fmt.Errorf("policy %q selects no disk", p.Name), Remedy: "`ivd disks` lists them; look at the policy's select"}
	}
	return capacities, lacking, nil
}

func (f forecastCost) write(w io.Writer) error {
	as := f.Assumptions
	fmt.Fprintf(w, "policy %s: %d disks of %s\nassumed: %g%% of them has content, %g%% of that is left once it is compressed and deduplicated, %g%% of it changes from run to run, %g runs a day\n\n",
		text.Name(f.Policy), f.Disks, telemetry.Bytes(f.Capacity), as.Used*100, as.Stored*100, as.Change*100, as.RunsPerDay)
	t := text.Table{Columns: []text.Column{text.Left(""), text.Right("FIRST RUN"), text.Right("EACH LATER RUN"), text.Right("FIRST MONTH"), text.Right("TWELFTH MONTH")}}
	row := func(name string, of func(cost.Requests) int64) {
		t.Row(name, fmt.Sprint(of(f.First.Requests)), fmt.Sprint(of(f.Next.Requests)), fmt.Sprint(of(f.FirstMonth.Requests)), fmt.Sprint(of(f.TwelfthMonth.Requests)))
	}
	row("PUT", func(r cost.Requests) int64 { return r.Put })
	row("GET", func(r cost.Requests) int64 { return r.Get })
	row("HEAD", func(r cost.Requests) int64 { return r.Head })
	row("LIST", func(r cost.Requests) int64 { return r.List })
	row("DELETE", func(r cost.Requests) int64 { return r.Delete })
	t.Row("received", telemetry.Bytes(f.First.ReadBack), telemetry.Bytes(f.Next.ReadBack), telemetry.Bytes(f.FirstMonth.Received), telemetry.Bytes(f.TwelfthMonth.Received))
	t.Row("objects", fmt.Sprint(f.First.Objects), fmt.Sprint(f.Next.Objects), fmt.Sprint(f.FirstMonth.Objects), fmt.Sprint(f.TwelfthMonth.Objects))
	t.Row("stored", telemetry.Bytes(f.First.Stored), telemetry.Bytes(f.Next.Stored), telemetry.Bytes(f.FirstMonth.Stored), telemetry.Bytes(f.TwelfthMonth.Stored))
	t.Row("points of a disk", "1", "", fmt.Sprint(f.FirstMonth.Points), fmt.Sprint(f.TwelfthMonth.Points))
	if p := f.Price; p != nil {
		t.Row("price", money(p.FirstRun, f.Currency), money(p.NextRun, f.Currency), money(p.FirstMonth, f.Currency), money(p.TwelfthMonth, f.Currency))
	}
	if err := t.Write(w); err != nil {
		return err
	}
	line := "objects and bytes of a month are those stored at its end; its price is of all that is asked in it, and of that storage"
	if f.Price == nil {
		line = noPrices
	}
	_, err := fmt.Fprintf(w, "\n%s\n", line)
	return err
}
