package coordtest

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/catalogue"
	"ivdmover/coordinator/custody"
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/examine"
	"ivdmover/coordinator/fleet"
	"ivdmover/coordinator/forget"
	"ivdmover/coordinator/heads"
	"ivdmover/coordinator/inventory"
	"ivdmover/coordinator/ledger"
	"ivdmover/coordinator/login"
	"ivdmover/coordinator/restore"
	"ivdmover/coordinator/verify"
	"ivdmover/coordinator/witness"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/pause"
	"ivdmover/shared/queue"
)

// Coordinator is the rooms that work on runs, with a connection and a clock of
// their own.
type Coordinator struct {
	Clock   *Clock
	Queue   *queue.Queue
	Fleet   *fleet.Fleet
	Ledger  *ledger.Ledger
	Engine  *engine.Engine
	Backup  *backup.Workflow
	Restore *restore.Workflow
	Verify  *verify.Workflow
	Doctors *examine.Room
	Heads   *heads.Keeper
	Logins  *login.Desk
	Keys    *custody.Desk
	Forget  *forget.Room // whose policies a test sets
	b       *Bench
}

// Clock shows more time than has passed.
type Clock struct{ by atomic.Int64 }

// Now is the time that the clock shows.
func (c *Clock) Now() time.Time { return time.Now().Add(time.Duration(c.by.Load())) }

// Advance puts it forward.
func (c *Clock) Advance(by time.Duration) { c.by.Add(int64(by)) }

// Coordinator is one that does not serve yet.
func (b *Bench) Coordinator(instance string) *Coordinator {
	b.Helper()
	return b.CoordinatorOf(instance, inventory.NewSources(b.VC))
}

// CoordinatorOf is a coordinator with other vCenters.
func (b *Bench) CoordinatorOf(instance string, sources *inventory.Sources) *Coordinator {
	b.Helper()
	log := slog.New(slog.NewTextHandler(io.MultiWriter(b.Output(), &b.Said), nil))
	c := &Coordinator{b: b, Clock: &Clock{}, Queue: b.Connect()}
	c.Fleet = fleet.New(c.Queue, c.Clock.Now)
	c.Ledger = ledger.New(c.Queue.State(), log, c.Clock.Now)
	c.Heads = heads.Open(b.StateDir, b.Repo, instance, log)
	c.Forget = &forget.Room{Repo: b.Repo, Catalogue: catalogue.New(b.Repo), Log: log}
	c.Backup = backup.New(backup.Deps{Repo: b.Repo, Runs: c.Heads, Sources: sources, Ledger: c.Ledger, Fleet: c.Fleet, Retention: c.Forget, Log: log})
	c.Restore = restore.New(restore.Deps{Repo: b.Repo, Runs: c.Heads, Sources: sources, Ledger: c.Ledger, Fleet: c.Fleet, Log: log})
	c.Verify = verify.New(verify.Deps{
		Repo: b.Repo, Runs: c.Heads, Catalogue: c.Forget.Catalogue, Fleet: c.Fleet, NewPacks: 3 * 24 * time.Hour, Every: 30 * 24 * time.Hour, Log: log,
	})
	c.Doctors = examine.New(examine.Deps{
		Sources: sources, Ledger: c.Ledger, Fleet: c.Fleet, Leases: b.Repo, Here: backup.Here(b.Repo), Silent: fleet.SilentMover, Instance: instance, Log: log, Now: c.Clock.Now,
	})
	c.Engine = engine.New(engine.Deps{
		Queue: c.Queue, Leases: leases{heads.Guard{Repository: b.Repo, Keeper: c.Heads}, c.Clock}, Ledger: c.Ledger, Fleet: c.Fleet, Witness: witness.At(filepath.Join(b.StateDir, instance)),
		Workflows: map[engine.Kind]engine.Workflow{backup.Kind: c.Backup, restore.Kind: c.Restore, verify.Kind: c.Verify},
		Instance:  instance, Log: log, Now: c.Clock.Now,
	})
	c.Logins = &login.Desk{Sources: sources, Runs: c.Engine, Fleet: c.Fleet, Log: log}
	c.Keys = &custody.Desk{Repo: b.Repo, Fleet: c.Fleet, Runs: c.Engine, Log: log}
	return c
}

// leases are a repository's, whose store has the test's clock.
type leases struct {
	heads.Guard
	clock *Clock
}

// Now is the store's clock, put forward as the test's is.
func (l leases) Now() time.Time { return l.Repository.Now().Add(time.Duration(l.clock.by.Load())) }

// Serving is a coordinator that is at work until stop, which the test's end calls
// too.
func (b *Bench) Serving(instance string) (c *Coordinator, stop func()) {
	b.Helper()
	c = b.Coordinator(instance)
	return c, b.Serve(c)
}

// Serve has a coordinator at work.
func (b *Bench) Serve(c *Coordinator) (stop func()) {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	logins, err := c.Logins.Serve(ctx, c.Queue, c.Logins.Sources.All()...)
	b.Must(err)
	doctors, err := c.Doctors.Serve(ctx, c.Queue)
	b.Must(err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.Engine.Serve(ctx)
	}()
	stop = sync.OnceFunc(func() { cancel(); <-ended; doctors(); logins() })
	b.Cleanup(stop)
	b.Must(c.Engine.Serving(b.Context()))
	return stop
}

// StartBackup begins a backup.
func (c *Coordinator) StartBackup(ctx context.Context, q backup.Request) (engine.View, error) {
	s, err := c.Backup.Run(ctx, q)
	if err != nil {
		return engine.View{}, err
	}
	return c.Engine.Begin(ctx, s)
}

// Begin begins a backup.
func (b *Bench) Begin(c *Coordinator, q backup.Request) engine.View {
	b.Helper()
	v, err := c.StartBackup(b.Context(), q)
	b.Must(err)
	return v
}

// BeginRestore begins a restore.
func (b *Bench) BeginRestore(c *Coordinator, q restore.Request) engine.View {
	b.Helper()
	s, err := c.Restore.Run(b.Context(), q)
	b.Must(err)
	v, err := c.Engine.Begin(b.Context(), s)
	b.Must(err)
	return v
}

// Until waits for a run to be as wanted, and fails the test when it is not after a
// long time.
func (b *Bench) Until(c *Coordinator, id ivd.RunID, want func(engine.View) bool) engine.View {
	b.Helper()
	ctx, stop := context.WithTimeout(b.Context(), time.Minute)
	defer stop()
	var v engine.View
	for change, err := range c.Engine.Watch(ctx, id) {
		b.Must(err)
		if v = Changed(v, change); want(v) {
			break
		}
	}
	if !want(v) {
		b.Fatalf("the run is %s: %+v", v.State, v.Items)
	}
	return v
}

// Await waits for something that no run tells of, and fails the test with what is wrong
// when it has not come after a long time.
func (b *Bench) Await(done func() bool, wrong func() string) {
	b.Helper()
	ctx, stop := context.WithTimeout(b.Context(), time.Minute)
	defer stop()
	for !done() {
		if pause.For(ctx, 100*time.Millisecond) != nil {
			b.Fatal(wrong())
		}
	}
}

// Changed is a view after a change, its items in the order of their keys.
func Changed(v engine.View, c engine.Change) engine.View {
	items := slices.DeleteFunc(slices.Clone(v.Items), func(old engine.ItemView) bool {
		return slices.ContainsFunc(c.Items, func(it engine.ItemView) bool { return it.Key == old.Key })
	})
	items = append(items, c.Items...)
	slices.SortFunc(items, func(a, b engine.ItemView) int { return strings.Compare(string(a.Key), string(b.Key)) })
	return engine.View{Run: c.Run, Items: items}
}

// Ended waits for a run that has ended.
func Ended(v engine.View) bool { return v.State.Ended() }

// AtStep waits for the first item to be at a step.
func AtStep(s engine.Step) func(engine.View) bool {
	return func(v engine.View) bool { return len(v.Items) > 0 && v.Items[0].Step == s }
}

// Settle has a coordinator's ledger look once.
func (b *Bench) Settle(c *Coordinator) {
	b.Helper()
	b.Must(c.Ledger.Settle(b.Context(), c.Ledger.Standing()))
	c.Ledger.Wait()
}

// Backup is what the workflow keeps of an item.
func (b *Bench) Backup(it engine.ItemView) backup.Disk {
	b.Helper()
	var d backup.Disk
	b.Must(it.Decode(&d))
	return d
}

// Item is the item of a view whose disk is called so.
func (b *Bench) Item(v engine.View, name string) engine.ItemView {
	b.Helper()
	for _, it := range v.Items {
		if b.Backup(it).Name == name {
			return it
		}
	}
	b.Fatalf("run %s has no disk %q", v.ID, name)
	return engine.ItemView{}
}

// Run is a run of ours as it would be stored.
func (b *Bench) Run(k engine.Kind, s engine.State) engine.Run {
	now := time.Now().UTC().Truncate(time.Second)
	return engine.Run{
		Version: engine.Version, ID: ivd.NewRunID(now), Kind: k, State: s, Created: now, LeaseKind: "write",
		Owner: "one", OwnerRun: "now", Repository: b.Repo.ID(),
	}
}

// Store puts a run and its items into the bucket, as a coordinator does.
func (b *Bench) Store(r engine.Run, items ...engine.Item) {
	b.Helper()
	for _, it := range items {
		it.Version, it.Run = engine.Version, r.ID
		_, err := b.Queue.State().Create(b.Context(), "item."+string(r.ID)+"."+string(it.Key), it)
		b.Must(err)
	}
	_, err := b.Queue.State().Create(b.Context(), "run."+string(r.ID), r)
	b.Must(err)
}

// Body is a body as it is stored.
func Body(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}

// Abandoned is a backup that is over, and of whose disk the ledger still has both
// obligations; asked: its snapshot was asked for and not answered.
func (b *Bench) Abandoned(c *Coordinator, ref ivd.DiskRef, asked bool) ivd.RunID {
	b.Helper()
	r := b.Run(backup.Kind, engine.Failed)
	key := engine.ItemKey(ref.ID())
	b.Store(r, engine.Item{Key: key, Step: engine.Ended, Result: engine.Failed, Body: Body(backup.Disk{Ref: ref})})
	o := ledger.Obligation{Run: r.ID, Item: string(key), Kind: "access"}
	_, err := c.Ledger.Open(b.Context(), o, map[string]any{"disk": job.IVD(ref), "identity": "who"})
	b.Must(err)
	o.Kind, o.Asked = "snapshot", asked
	_, err = c.Ledger.Open(b.Context(), o, map[string]any{"disk": ref, "mark": backup.Mark(b.Repo, r.ID)})
	b.Must(err)
	return r.ID
}
