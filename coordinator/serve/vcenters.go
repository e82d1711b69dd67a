package serve

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"ivdmover/coordinator/inventory"
	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
)

const (
	// firstAnswer is how long one vCenter may keep the others from being served at the start.
	firstAnswer = 30 * time.Second
	// definiteAgain is when a vCenter is tried again that has answered, and not as it
	// should: longer than it counts refused logins before it locks an account (3 minutes).
	definiteAgain = 5 * time.Minute
)

// connect logs in to the vCenters, all at once, and waits until one of them is there. It
// returns those that are still away. A definite answer of one of them is an error.
func connect(ctx context.Context, list []config.VCenter, vcenters *inventory.Sources, s start) (away []config.VCenter, err error) {
	what := "vCenter " + list[0].Name
	if len(list) > 1 {
		names := make([]string, len(list))
		for i, c := range list {
			names[i] = c.Name
		}
		what = "one of the vCenters " + strings.Join(names, ", ")
	}
	return await(ctx, s, what, func(ctx context.Context) ([]config.VCenter, error) { return connectOnce(ctx, list, vcenters, s.log) })
}

// connectOnce tries all of them once, at the same time, and takes them in by their order in
// the configuration. Kind Transient: none is there yet.
func connectOnce(ctx context.Context, list []config.VCenter, vcenters *inventory.Sources, log *slog.Logger) (away []config.VCenter, err error) {
	there, errs := make([]*inventory.VCenter, len(list)), make([]error, len(list))
	var group errgroup.Group
	for i, c := range list {
		group.Go(func() error {
			ctx, stop := context.WithTimeout(ctx, firstAnswer)
			defer stop()
			there[i], errs[i] = logIn(ctx, c, log)
			return nil
		})
	}
	_ = group.Wait() // none returns an error
	for i, v := range there {
		if v != nil {
			errs[i] = takeIn(v, vcenters, log)
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	for i, err := range errs {
		switch {
		case err == nil:
		case ivd.KindOf(err) != ivd.Transient:
			return nil, err
		default:
			vcenters.Miss(list[i].Name, err)
			away = append(away, list[i])
		}
	}
	if len(away) == len(list) {
		return nil, vcenters.NotReached()
	}
	return away, nil
}

// logIn connects to one that the configuration names.
func logIn(ctx context.Context, c config.VCenter, log *slog.Logger) (*inventory.VCenter, error) {
	return inventory.Connect(ctx, inventory.Config{
		Name: c.Name, URL: c.URL, Username: c.Username,
		ReadPassword: func() (ivd.Secret, error) { return config.ReadSecret(c.PasswordFile, log) },
		Thumbprint:   string(c.Thumbprint), NFCPort: c.NFCPort, Tasks: c.Limits.Tasks,
		FreeSpace: float64(c.Limits.FreeSpace), Log: log,
	})
}

// takeIn adds one that is connected to the others. An error: it is closed.
func takeIn(v *inventory.VCenter, vcenters *inventory.Sources, log *slog.Logger) error {
	if err := vcenters.Join(v); err != nil {
		return errors.Join(err, v.Close())
	}
	log.Info("logged in", "vcenter", v.Name(), "source", v.Source(), "version", v.Version())
	return nil
}

// awaitVCenter tries one that is away until it is there: then its disks are the estate's,
// runs that wait for it go on, and movers get logins for it until ctx ends. A definite
// answer is waited out, too: it must not end what is done at the others.
func (h *house) awaitVCenter(ctx context.Context, c config.VCenter) error {
	miss := func(_ string, why error) {
		if why != nil {
			h.sources.Miss(c.Name, why)
		}
	}
	for {
		v, err := await(ctx, start{h.log, miss}, "vCenter "+c.Name, func(ctx context.Context) (*inventory.VCenter, error) { return logIn(ctx, c, h.log) })
		if err == nil {
			err = takeIn(v, h.sources, h.log)
		}
		if err == nil {
			h.limit(v)
			return h.giveLogins(ctx, v)
		}
		if ctx.Err() != nil {
			return nil
		}
		h.sources.Miss(c.Name, err)
		h.log.Error("a vCenter cannot be served", "vcenter", c.Name, "err", err, "remedy", ivd.RemedyOf(err), "again_in", definiteAgain)
		if pause.For(ctx, definiteAgain) != nil {
			return nil
		}
	}
}

// giveLogins gives movers logins for one more vCenter until ctx ends.
func (h *house) giveLogins(ctx context.Context, v *inventory.VCenter) error {
	stop, err := await(ctx, start{h.log, func(string, error) {}}, "the queue", func(ctx context.Context) (func(), error) { return h.logins.Serve(ctx, h.queue, v) })
	if err != nil {
		return err
	}
	<-ctx.Done()
	stop()
	return nil
}

// limit has the engine keep to the configuration's limits for a vCenter.
func (h *house) limit(v *inventory.VCenter) {
	l := h.limits[v.Name()]
	h.engine.Limit(v.Source(), l.DatastoreHandles, l.HostHandles)
}

// snapshotAge is how old a source's snapshots may grow.
func (h *house) snapshotAge(source ivd.SourceID) time.Duration {
	return h.limits[h.sources.Label(source)].SnapshotAge.Std()
}

func disconnect(vcenters *inventory.Sources, log *slog.Logger) {
	for _, v := range vcenters.All() {
		if err := v.Close(); err != nil {
			log.Warn("logging out failed", "vcenter", v.Name(), "err", err)
		}
	}
}
