// Package serve composes the coordinator: the one room that knows all others, as
// `ivd serve` needs them together. It opens what they work with, in order, runs
// them, and closes everything in the opposite order, whatever happened.
//
// It promises that one state folder is used by one coordinator at a time, that a
// cancelled context is a clean end, and that movers which it started are gone
// when it returns. It decides nothing about disks.
package serve

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/broker"
	"ivdmover/coordinator/inventory"
	"ivdmover/coordinator/keyring"
	"ivdmover/coordinator/policy"
	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
	"ivdmover/shared/queue"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/meter"
	"ivdmover/shared/store/open"
)

// Options are what the command line adds to the configuration.
type Options struct {
	Movers     int              // movers to run here, as processes of this one
	ConfigFile string           // what those movers read
	Mover      string           // their program; empty: beside this one, or on PATH
	MoverArgs  []string         // more of its arguments
	Ready      func(url string) // called when the API answers
	Log        *slog.Logger     // nil: slog's default
}

// Run serves until ctx ends, which is no error. What it needs may be started later: it
// waits for a store or a queue that is away, and until one of the vCenters is there, of
// which the others join later. It ends where it gets an answer that will be the same
// tomorrow.
func Run(ctx context.Context, cfg *config.Config, o Options) error {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	err := run(ctx, cfg, o)
	if ctx.Err() != nil && ivd.KindOf(err) == ivd.Cancelled {
		return nil // a part that was about to begin says so
	}
	return err
}

func run(ctx context.Context, cfg *config.Config, o Options) error {
	if err := Check(cfg, o); err != nil {
		return err
	}
	state, err := openState(cfg.StateDir)
	if err != nil {
		return err
	}
	defer state.close()
	face, err := api.OpenEarly(apiOptions(cfg, state.token, o.Log))
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(ctx)
	group, gctx := errgroup.WithContext(ctx)
	answered := make(chan struct{})
	group.Go(func() error {
		defer close(answered)
		return face.Serve(gctx)
	})
	group.Go(func() error {
		defer end()
		return work(gctx, cfg, o, state, face, func() { end(); <-answered })
	})
	return group.Wait()
}

// work opens what the coordinator needs and serves until ctx ends. Silence ends the API's
// answers and waits for those under way, which need what is closed then.
func work(ctx context.Context, cfg *config.Config, o Options, state *state, face *api.Server, silence func()) error {
	s := start{o.Log, func(what string, why error) { face.Waits(starting(what, why)) }}
	repository, err := await(ctx, s, "the repository", func(ctx context.Context) (*repo.Repository, error) { return openRepository(ctx, cfg.Repository, o.Log) })
	if err != nil {
		return err
	}
	if err := tellRoot(cfg.RootFile(), repository.Root()); err != nil {
		return err
	}
	server, err := await(ctx, s, "the embedded queue", func(ctx context.Context) (*broker.Server, error) { return startBroker(ctx, cfg, o.Log) })
	if err != nil {
		return err
	}
	if server != nil {
		defer server.Close()
	}
	jobs, err := await(ctx, s, "the queue", func(ctx context.Context) (*queue.Queue, error) { return connectQueue(ctx, cfg.Queue, server, o.Log) })
	if err != nil {
		return err
	}
	defer jobs.Close()

	vcenters := inventory.NewSources()
	defer disconnect(vcenters, o.Log)
	away, err := connect(ctx, cfg.VCenters, vcenters, s)
	if err != nil {
		return err
	}
	movers, err := newLocalMovers(cfg, o)
	if err != nil {
		return err
	}
	h := newHouse(state.instance, jobs, repository, vcenters, cfg, movers, o.Log)
	defer h.points.Close()
	mayForget(h.forget, o.Log)
	points := &archive{repo: repository, heads: h.heads, catalogue: h.points, label: vcenters.Label, collecting: h.collecting, verifying: h.verifying}
	face.Answer(api.Rooms{
		Runs: &runs{house: h, sources: vcenters, past: newSummaries(repository, o.Log), label: vcenters.Label}, Estate: newEstate(vcenters, h.points, h),
		Archive: points, Retention: &retention{points, h.forget}, Movers: h.fleet,
	})
	defer silence()
	return live(ctx, repository, h, face, movers, away, o)
}

// live runs the parts until ctx ends or one of them fails, and waits for all.
func live(ctx context.Context, repository *repo.Repository, h *house, face *api.Server, movers *localMovers, away []config.VCenter, o Options) error {
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error { return prove(gctx, repository, o.Log) })
	group.Go(func() error { return h.serve(gctx) })
	group.Go(func() error { h.timers.Serve(gctx); return nil })
	group.Go(func() error { return movers.run(gctx) })
	for _, c := range away {
		group.Go(func() error { return h.awaitVCenter(gctx, c) })
	}
	if h.serving(gctx) == nil { // or what is wrong comes from the group
		o.Log.Info("the coordinator is ready", "api", face.URL(), "movers", len(movers.names))
		if o.Ready != nil {
			o.Ready(face.URL())
		}
	}
	err := group.Wait()
	o.Log.Info("the coordinator has ended", "asked_of_the_store", meter.Of(repository.Store()))
	return err
}

// proveEvery is how long a store is left alone that could not be tried.
const proveEvery = 10 * time.Second

// prove tries whether the store refuses what it must, and ends the coordinator where
// it does not. Nothing is committed before. A store that refuses all writes is
// served for those who read without a lease.
func prove(ctx context.Context, r *repo.Repository, log *slog.Logger) error {
	for denied := false; ; {
		err := r.Prove(ctx)
		switch kind := ivd.KindOf(err); {
		case err == nil && denied:
			log.Info("the store takes writes again")
			return nil
		case err == nil || kind == ivd.Unsupported:
			return err
		case ctx.Err() != nil:
			return nil
		case kind == ivd.Withheld: // of which the log has one line
		case kind != ivd.Denied:
			log.Warn("trying what the store refuses failed; nothing is committed until it was tried", "err", err)
		case !denied:
			log.Warn("the store refuses writes: only restores with --no-lease work, as long as nobody collects from the repository", "err", err)
			denied = true
		}
		if pause.For(ctx, proveEvery) != nil {
			return nil
		}
	}
}

func apiOptions(cfg *config.Config, token ivd.Secret, log *slog.Logger) api.Options {
	return api.Options{Listen: cfg.API.Listen, Token: token, CertFile: cfg.API.TLS.CertFile, KeyFile: cfg.API.TLS.KeyFile, TokensFile: cfg.API.TokensFile, Log: log}
}

// Check is what Run does with a configuration before it touches a network: it reads
// every file that is named, and names what is wrong.
func Check(cfg *config.Config, o Options) error {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	wrong := []error{check(cfg)}
	if o.Movers > 0 {
		wrong = append(wrong, cfg.ValidateVDDK()) // the rest of what they use, ivd serve does, too
	}
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	for _, c := range cfg.VCenters {
		_, err := config.ReadSecret(c.PasswordFile, o.Log)
		wrong = append(wrong, err, inventory.Check(inventory.Config{Name: c.Name, URL: c.URL, Thumbprint: string(c.Thumbprint)}))
	}
	wrong = append(wrong, apiOptions(cfg, "", o.Log).Check(), open.Check(cfg.Repository, o.Log), checkState(cfg.StateDir))
	if cfg.Queue.URL != "" {
		wrong = append(wrong, queue.Check(queueOptions(cfg.Queue)))
	} else {
		wrong = append(wrong, broker.Check(brokerOptions(cfg)))
	}
	_, err := newLocalMovers(cfg, o)
	_, keysErr := keyring.Read(cfg.Repository, o.Log)
	wrong = append(wrong, err, keysErr)
	return errors.Join(wrong...)
}

// check finds what is wrong with a configuration before anything is opened.
func check(cfg *config.Config) error {
	wrong := []error{cfg.ValidateCoordinator()}
	for _, p := range cfg.Policies {
		wrong = append(wrong, policy.Check(p))
	}
	if _, err := collectSchedule(cfg); err != nil {
		wrong = append(wrong, cfg.Problem("collect.schedule", err))
	}
	if _, err := verifySchedule(cfg); err != nil {
		wrong = append(wrong, cfg.Problem("repository.verify.schedule", err))
	}
	return errors.Join(wrong...)
}

func openRepository(ctx context.Context, c config.Repository, log *slog.Logger) (*repo.Repository, error) {
	st, err := open.OpenWhatIsThere(ctx, c, log)
	if err != nil {
		return nil, err
	}
	r, err := keyring.Open(ctx, st, c, keyring.Options{Log: log})
	if err != nil {
		return nil, err
	}
	return r, Heed(ctx, r, log)
}

// startBroker starts the embedded queue, unless the configuration names another.
func startBroker(ctx context.Context, cfg *config.Config, log *slog.Logger) (*broker.Server, error) {
	if cfg.Queue.URL != "" {
		return nil, nil
	}
	o := brokerOptions(cfg)
	o.Logger = log
	return broker.Start(ctx, o)
}

func brokerOptions(cfg *config.Config) broker.Options {
	return broker.Options{
		Dir: filepath.Join(cfg.StateDir, "queue"), Socket: cfg.QueueSocket(), Listen: cfg.Queue.Listen, Creds: cfg.StateDir,
		CertFile: cfg.Queue.TLS.CertFile, KeyFile: cfg.Queue.TLS.KeyFile,
	}
}

func queueOptions(c config.Queue) queue.Options {
	return queue.Options{Name: "ivd serve", URL: c.URL, CredsFile: c.CredsFile, CAFile: c.CAFile, AckWait: c.AckWait.Std()}
}

// AddMover is the file with the credentials of a mover, which is made where it is missing.
func AddMover(cfg *config.Config, name string) (file string, err error) {
	return broker.MoverCreds(cfg.StateDir, name)
}

// connectQueue connects to the embedded queue or to the one that is configured,
// and makes sure that streams and buckets are there.
func connectQueue(ctx context.Context, c config.Queue, server *broker.Server, log *slog.Logger) (*queue.Queue, error) {
	o := queueOptions(c)
	o.Log = log
	if server != nil {
		o.URL, o.InProcess = "", server
	}
	q, err := queue.Connect(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := q.Setup(ctx); err != nil {
		q.Close()
		return nil, err
	}
	return q, nil
}
