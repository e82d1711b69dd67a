// Package inventory is one vCenter as the coordinator needs it: its datastores,
// their disks, snapshots, changed areas, new disks, logins for movers, and the facts
// that a mover's transports depend on. A standalone ESXi host is one too, with less.
//
// What it promises: the session is kept alive and renewed when it or the vCenter
// was restarted; the server is known by its certificate's thumbprint or by the
// system's authorities, never by nothing; every call has a deadline; no more
// tasks are under way at once than the configuration allows; faults come out as
// *ivd.Error of a kind, mapped in fault.go alone, with what the user can do. It
// never touches a snapshot or a disk that it was not asked about by id, and never
// reads a disk's content. All methods are safe for concurrent use.
package inventory

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
)

// Config says which vCenter, and as whom.
type Config struct {
	Name     string // the configuration's name for it
	URL      string // "https://vc.example.net/sdk"; the path may be left out
	Username string
	Password ivd.Secret
	// ReadPassword reads the password before each login, so that a new one counts at
	// once. Nil: it is Password.
	ReadPassword func() (ivd.Secret, error)
	Thumbprint   string // SHA-1, "AA:BB:…"; empty: the system's authorities decide
	NFCPort      int    // handed on to movers; 0: VDDK's default
	Tasks        int    // at once; 0: DefaultTasks
	// FreeSpace is the share of a datastore, in percent, below which no snapshot is made
	// on it. 0: snapshots are made whatever is free.
	FreeSpace float64
	Log       *slog.Logger
}

// DefaultTasks is how many tasks are under way at once in a vCenter.
const DefaultTasks = 16

// How long things may take.
const (
	callTimeout   = 2 * time.Minute // one request and its answer
	loginTimeout  = 30 * time.Second
	keepAlive     = 5 * time.Minute // vCenter ends a session after 30 idle minutes
	closeTimeout  = 10 * time.Second
	taskTimeout   = 15 * time.Minute
	deleteTimeout = 4 * time.Hour // of a snapshot: what was written since is consolidated
)

// VCenter is a vCenter, or a standalone ESXi host, that is connected.
type VCenter struct {
	cfg        Config
	source     ivd.SourceID // set once, by Connect
	log        *slog.Logger
	own        *session // for our calls
	movers     *session // whose cookie movers get; logged in when the first asks
	tasks      chan struct{}
	beginAgain pause.Backoff // of tasks
	trackAgain pause.Backoff // of calls about tracking
	readAgain  pause.Backoff // of questions for lists

	proxies    proxies
	refreshes  refreshes
	aside      *aside
	policies   *policies
	containers *containers

	stop context.CancelFunc
	done sync.WaitGroup
}

// Check reports what is wrong with a configuration, as far as that can be seen from
// here.
func Check(cfg Config) error {
	s, err := newSession(cfg, nil)
	if err == nil {
		s.drop()
	}
	return err
}

// Connect logs in. The caller closes what it returns.
func Connect(ctx context.Context, cfg Config) (*VCenter, error) {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Tasks <= 0 {
		cfg.Tasks = DefaultTasks
	}
	v := &VCenter{
		cfg: cfg, log: cfg.Log.With("vcenter", cfg.Name), tasks: make(chan struct{}, cfg.Tasks),
		beginAgain: beginAgain, trackAgain: trackAgain, readAgain: readAgain,
		proxies:   proxies{known: map[string]knownProxy{}, life: proxyLife},
		refreshes: refreshes{last: map[ivd.DatastoreID]time.Time{}},
	}
	var err error
	secret := newPassword(cfg)
	if v.own, err = newSession(cfg, secret); err != nil {
		return nil, err
	}
	if v.movers, err = newSession(cfg, secret); err != nil {
		return nil, err
	}
	if err := v.own.open(ctx); err != nil {
		v.own.drop()
		return nil, err
	}
	if v.source, err = sourceOf(ctx, v.client()); err != nil {
		v.own.drop()
		return nil, err
	}
	v.aside, v.policies, v.containers = newAside(), newPolicies(v.own), newContainers(v.own)
	life, stop := context.WithCancel(context.Background())
	v.stop = stop
	v.done.Go(func() { v.own.keep(life, v.log) })
	v.done.Go(func() { v.movers.keep(life, v.log) })
	return v, nil
}

// Source names the vCenter, or the host, for ever: it is the instance UUID of the
// one, the hardware UUID of the other.
func (v *VCenter) Source() ivd.SourceID { return v.source }

// Name is the configuration's name for the vCenter: a label.
func (v *VCenter) Name() string { return v.cfg.Name }

// Version is what the vCenter says it is: "VMware vCenter Server 8.0.2".
func (v *VCenter) Version() string {
	about := v.own.client.ServiceContent.About
	return about.Name + " " + about.Version
}

// Close logs both sessions out; movers' open disks may lose theirs.
func (v *VCenter) Close() error {
	v.stop()
	v.done.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return errors.Join(v.own.close(ctx), v.movers.close(ctx))
}

func (v *VCenter) client() *vim25.Client { return v.own.client }

func datastoreRef(id ivd.DatastoreID) types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "Datastore", Value: string(id)}
}
