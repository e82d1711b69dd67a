// Package vcenter is a laboratory's vSphere API: govmomi's simulator with the
// parts that it lacks. What is asked of the manager of virtual storage objects,
// and of machines about disks and relocation, is answered from the estate;
// everything else is the simulator's own inventory, made anew and alike at each
// start, so that its managed object ids stay the same.
//
// It adds to the simulator without a fork: the registry's handler sends calls to
// objects of this package. It knows nothing of the data port, and keeps nothing
// that must outlive the process.
package vcenter

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/deploy/lab/estate"
)

// Options of a vCenter.
type Options struct {
	Estate   *estate.Estate
	Dir      string // the laboratory's: answers.json and datastores.json are read there
	Username string
	Password string
	Host     string // host:port that clients use
	// ESX makes it a standalone ESXi host, with the API that such a host has.
	ESX bool
	// Old makes its API one of before disks had metadata.
	Old bool
	// AreasPerAnswer bounds the changed areas of one answer.
	AreasPerAnswer int
	// LoginIdle is how long a session lives without a call.
	LoginIdle time.Duration
	Lacks     []string // privileges that the user does not have
	Without   []string // services that do not run
	Log       *slog.Logger
}

// VCenter answers the vSphere API until it is closed.
type VCenter struct {
	o       Options
	service *simulator.Service
	reg     *simulator.Registry

	datastores map[string]types.ManagedObjectReference // by name
	machines   map[string]types.ManagedObjectReference // by name

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup // tasks and the sessions' watch

	spaces  spaces     // what refreshing a datastore finds
	logins  logins     // wrong ones
	showing sync.Mutex // one after another: what a machine's properties say
	placing sync.Mutex // and what is attached where
}

// Start builds the inventory and begins to answer through Handler.
func Start(ctx context.Context, o Options) (*VCenter, error) {
	v := &VCenter{
		o: o, datastores: map[string]types.ManagedObjectReference{}, machines: map[string]types.ManagedObjectReference{},
	}
	v.ctx, v.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if err := v.build(ctx); err != nil {
		v.cancel()
		return nil, fmt.Errorf("build the vCenter's inventory: %w", err)
	}
	v.service.Listen = &url.URL{Scheme: "https", Host: o.Host, Path: "/sdk", User: url.UserPassword(o.Username, o.Password)}
	v.reg.SessionManager().ServiceHostName = o.Host
	v.reg.SessionManager().ValidLogin = func(l *types.Login) bool { return v.Authenticate(l.UserName, l.Password) }
	v.service.RegisterSDK(v.reg, v.reg.Path+"/vimService")
	v.service.ServeMux.HandleFunc(v.reg.Path+"/vimServiceVersions.xml", v.service.ServiceVersions)
	v.reg.Handler = v.route
	if !o.ESX {
		v.serveGlobal()
	}
	if v.serves(PolicyService) {
		v.servePolicies()
	}
	if v.serves(ContainerService) {
		v.serveContainers()
	}
	v.work.Go(v.watchSessions)
	return v, nil
}

// Handler serves the API; further paths may be added to it.
func (v *VCenter) Handler() *http.ServeMux { return v.service.ServeMux }

// Close waits for the tasks that run. The handler is not to be used any more.
func (v *VCenter) Close() {
	v.cancel()
	v.work.Wait()
}

// Datastore is the name of a datastore's managed object.
func (v *VCenter) Datastore(moid string) (string, bool) {
	for name, ref := range v.datastores {
		if ref.Value == moid {
			return name, true
		}
	}
	return "", false
}

// Machine is the name of a machine's managed object.
func (v *VCenter) Machine(moid string) (string, bool) {
	name := v.machineName(types.ManagedObjectReference{Type: "VirtualMachine", Value: moid})
	return name, name != ""
}

// MachineID is the managed object id of a machine, or empty.
func (v *VCenter) MachineID(name string) string { return v.machines[name].Value }

// call is a context for calls into the simulator from within.
func (v *VCenter) call() *simulator.Context {
	return &simulator.Context{Context: v.ctx, Map: v.reg, Session: &simulator.Session{Registry: simulator.NewRegistry(), Map: v.reg}}
}
