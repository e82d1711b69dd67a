// Package lab is a vCenter laboratory: a vSphere API with virtual disks that hold
// real bytes, and a data port for a simulated VDDK. Programs meet it only over
// these two ports, as they meet the real thing; where it is as strict, and where it
// is not, is told in docs/laboratory.md.
//
// Everything that was answered as done is in the folder: a laboratory that was
// killed and is started again has the same disks, ids, snapshots, attachments and
// disabled methods. It listens where it is told and on loopback otherwise; it never
// connects to anything.
package lab

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"time"

	"ivdmover/deploy/lab/dataport"
	"ivdmover/deploy/lab/estate"
	"ivdmover/deploy/lab/vcenter"
	"ivdmover/shared/ivd"
)

// Options of a laboratory. Only Dir is needed.
type Options struct {
	Dir        string
	Listen     string // of the vCenter; default 127.0.0.1:0
	DataListen string // of the data port; default: any port beside Listen
	Advertise  string // the host that clients are told; default: the listener's, or the one they called
	Username   string // default administrator@vsphere.local
	Password   string // default: made once, and kept in the folder

	Disks    int   // to make at the first start, with some content
	DiskSize int64 // bytes, rounded up to whole MiB; default 64 MiB

	LibDir string // of the simulated VDDK, only passed on in Ready
	ESX    bool   // an ESXi host without a vCenter
	Old    bool   // its API is of before disks had metadata

	AreasPerAnswer int           // changed areas in one answer; default 2000
	OperationTime  time.Duration // how long an operation on a disk takes at least
	LoginIdle      time.Duration // how long a session lives without a call; default 30 minutes
	Lacks          []string      // privileges that the user does not have: vcenter.ViewPolicies, vcenter.SearchCNS
	Without        []string      // services that do not run: vcenter.PolicyService, vcenter.ContainerService
	Log            *slog.Logger  // default: nothing is logged
}

// Ready is what a program needs to use a laboratory.
type Ready struct {
	URL        string `json:"url"`
	Username   string `json:"username"`
	Password   string `json:"password"`
	Thumbprint string `json:"thumbprint"`
	VDDKLibDir string `json:"vddk_libdir"`
}

// Lab is a laboratory that runs.
type Lab struct {
	o      Options
	ready  Ready
	estate *estate.Estate
	vc     *vcenter.VCenter
	data   *dataport.Port
	server *http.Server
	served chan error
}

func (o *Options) fill() error {
	if o.Dir == "" {
		return ivd.Errorf(ivd.Invalid, "a laboratory needs a folder")
	}
	for _, s := range []struct {
		p   *string
		def string
	}{{&o.Listen, "127.0.0.1:0"}, {&o.Username, "administrator@vsphere.local"}} {
		if *s.p == "" {
			*s.p = s.def
		}
	}
	if o.DataListen == "" {
		host, _, err := net.SplitHostPort(o.Listen)
		if err != nil {
			return &ivd.Error{Kind: ivd.Invalid, Op: "listen", Err: err, Remedy: "give --listen as ADDRESS:PORT"}
		}
		o.DataListen = net.JoinHostPort(host, "0")
	}
	if o.DiskSize <= 0 {
		o.DiskSize = 64 << 20
	}
	if o.AreasPerAnswer <= 0 {
		o.AreasPerAnswer = 2000
	}
	if o.LoginIdle <= 0 {
		o.LoginIdle = 30 * time.Minute
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	var err error
	if o.Dir, err = filepath.Abs(o.Dir); err != nil || o.LibDir == "" {
		return err
	}
	o.LibDir, err = filepath.Abs(o.LibDir)
	return err
}

// Start starts a laboratory; ctx bounds the start only. Kind Locked: another one
// serves the folder.
func Start(ctx context.Context, o Options) (started *Lab, err error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	l := &Lab{o: o}
	defer func() {
		if err != nil {
			started, err = nil, errors.Join(err, l.Close())
		}
	}()
	l.estate, err = estate.Open(estate.Options{
		Dir: o.Dir, Datastores: []string{"datastore1", "datastore2"}, OperationTime: o.OperationTime, Log: o.Log,
		Machines: []estate.Machine{{Name: "lab-vm-1", On: true}, {Name: "lab-vm-2", On: true, Tracking: true}, {Name: "lab-vm-3"}},
	})
	if err != nil {
		return nil, err
	}
	if o.Password == "" {
		if l.o.Password, err = password(o.Dir); err != nil {
			return nil, err
		}
	}
	if err := l.estate.Seed(func() error { return l.seed(ctx) }); err != nil {
		return nil, fmt.Errorf("make the first disks: %w", err)
	}
	return l, l.listen(ctx)
}

func (l *Lab) listen(ctx context.Context) error {
	front, err := certificate(filepath.Join(l.o.Dir, "vcenter.pem"), l.o.Advertise)
	if err != nil {
		return err
	}
	host, err := certificate(filepath.Join(l.o.Dir, "host.pem"), l.o.Advertise)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", l.o.Listen)
	if err != nil {
		kind := ivd.Exists
		if bad := (*net.AddrError)(nil); errors.As(err, &bad) { // it is no address, whatever machine this is
			kind = ivd.Invalid
		}
		return &ivd.Error{Kind: kind, Op: "listen for the vSphere API", Err: err, Remedy: "end what listens there, or give another --listen"}
	}
	address := l.address(listener.Addr().(*net.TCPAddr))
	l.vc, err = vcenter.Start(ctx, vcenter.Options{
		Estate: l.estate, Dir: l.o.Dir, Username: l.o.Username, Password: l.o.Password, Host: address, ESX: l.o.ESX, Old: l.o.Old,
		AreasPerAnswer: l.o.AreasPerAnswer, LoginIdle: l.o.LoginIdle, Lacks: l.o.Lacks, Without: l.o.Without, Log: l.o.Log,
	})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	l.data, err = dataport.Start(ctx, dataport.Options{
		Dir: l.o.Dir, Estate: l.estate, Front: l.vc, Listen: l.o.DataListen, Host: l.o.Advertise,
		Certificate: host, Thumbprint: thumbprint(host), Log: l.o.Log,
	})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	mux := l.vc.Handler()
	mux.Handle(dataport.Path, l.data)
	mux.HandleFunc(reportPath, l.serveReport)
	l.server = &http.Server{
		Handler: mux, ReadHeaderTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(l.o.Log.Handler(), slog.LevelDebug),
	}
	l.served = make(chan error, 1)
	config := &tls.Config{Certificates: []tls.Certificate{front}, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}
	go func() { l.served <- l.server.Serve(tls.NewListener(listener, config)) }()
	l.ready = Ready{
		URL: "https://" + address + "/sdk", Username: l.o.Username, Password: l.o.Password,
		Thumbprint: thumbprint(front), VDDKLibDir: l.o.LibDir,
	}
	return nil
}

func (l *Lab) address(a *net.TCPAddr) string {
	host := l.o.Advertise
	switch {
	case host != "":
	case a.IP.IsUnspecified():
		host = "127.0.0.1"
	default:
		host = a.IP.String()
	}
	return net.JoinHostPort(host, strconv.Itoa(a.Port))
}

// Ready tells how to reach the laboratory.
func (l *Lab) Ready() Ready { return l.ready }

// SetPassword changes the user's password; sessions that are open go on.
func (l *Lab) SetPassword(password string) { l.vc.SetPassword(password) }

// Close ends everything and waits for what runs. To repeat it does no harm.
func (l *Lab) Close() error {
	var err error
	if l.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		if l.server.Shutdown(ctx) != nil { // a client that waits for updates
			err = errors.Join(err, l.server.Close())
		}
		cancel()
		if e := <-l.served; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
		l.server = nil
	}
	if l.data != nil {
		err = errors.Join(err, l.data.Close())
		l.data = nil
	}
	if l.vc != nil {
		l.vc.Close()
		l.vc = nil
	}
	if l.estate != nil {
		err = errors.Join(err, l.estate.Close())
		l.estate = nil
	}
	return err
}

// Run is a laboratory in the foreground, until ctx ends. ready is called once it
// can be used.
func Run(ctx context.Context, o Options, ready func(Ready)) error {
	l, err := Start(ctx, o)
	if err != nil {
		return err
	}
	ready(l.Ready())
	select {
	case <-ctx.Done():
	case err = <-l.served:
		l.served <- err
	}
	return l.Close()
}
