package serve_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/serve"
	"ivdmover/deploy/lab"
	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/open"
	"ivdmover/shared/supervise"
)

// actsAsMover makes the test's own binary stand in for ivd-mover: it notes how it
// was called and when it was asked to end.
const actsAsMover = "IVD_TEST_MOVER_NOTES"

// givesUp makes that one end for good.
const givesUp = "IVD_TEST_MOVER_GIVES_UP"

// failsWith makes that one end with an error again and again.
const failsWith = "IVD_TEST_MOVER_FAILS"

func TestMain(m *testing.M) {
	if notes := os.Getenv(actsAsMover); notes != "" {
		os.Exit(mover(notes))
	}
	goleak.VerifyTestMain(m)
}

// mover dies at once the first time that it is started under its name.
func mover(notes string) int {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	name := os.Args[len(os.Args)-1]
	file := filepath.Join(notes, name)
	before, _ := os.ReadFile(file)
	note := func(s string) { before = append(before, s+"\n"...); _ = os.WriteFile(file, before, 0o600) }
	note("began " + strings.Join(os.Args[1:], " "))
	if strings.Count(string(before), "began") == 1 {
		return 3
	}
	if os.Getenv(givesUp) != "" {
		_ = os.WriteFile(os.Getenv(supervise.ReasonVariable), []byte("no library; unpack it"), 0o600)
		return supervise.ExitFinal
	}
	if why := os.Getenv(failsWith); why != "" {
		_ = os.WriteFile(os.Getenv(supervise.ReasonVariable), []byte(why+"\n"), 0o600)
		return 1
	}
	note("ready")
	<-ended
	note("asked to end")
	return 0
}

// world is a laboratory, a repository and the configuration for both.
type world struct {
	dir  string
	file string
	text string
	lab  lab.Ready
	url  string // of the coordinator, once it is ready
}

func newWorld(t *testing.T, change ...func(*lab.Options)) *world {
	t.Helper()
	w := &world{dir: t.TempDir()}
	w.file = filepath.Join(w.dir, "ivd.yaml")
	o := lab.Options{Dir: filepath.Join(w.dir, "lab"), Disks: 3, DiskSize: 1 << 20}
	for _, f := range change {
		f(&o)
	}
	l, err := lab.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := os.Mkdir(filepath.Join(w.dir, "repository"), 0o700); err != nil {
		t.Fatal(err)
	}
	r := l.Ready()
	w.lab = r
	w.write(t, "password", r.Password+"\n")
	w.text = fmt.Sprintf(`
vcenters: [{ name: lab, url: %q, username: %q, password_file: %q, thumbprint: %q }]
repository: { url: "dir://%s/repository" }
mover: { name: m, vddk: { libdir: /opt/vddk } }
api: { listen: "127.0.0.1:0" }
state_dir: %q
`, r.URL, r.Username, filepath.Join(w.dir, "password"), r.Thumbprint, w.dir, filepath.Join(w.dir, "state"))
	st, err := open.Open(t.Context(), w.config(t, "").Repository)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Init(t.Context(), st, repo.InitOptions{}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// config is the configuration with more keys below it.
func (w *world) config(t *testing.T, more string) *config.Config {
	t.Helper()
	cfg, err := config.Parse("ivd.yaml", []byte(w.text+more))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func quiet(o serve.Options) serve.Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// start serves until stop is called, which gives Run's error.
func (w *world) start(t *testing.T, o serve.Options) (client *api.Client, stop func() error) {
	t.Helper()
	ready := make(chan string, 1)
	o.Ready = func(url string) { ready <- url }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve.Run(ctx, w.config(t, ""), quiet(o)) }()
	stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { _ = stop() })
	select {
	case url := <-ready:
		w.url = url
		client, err := api.NewClient(api.ClientOptions{Server: url, TokenFile: serve.TokenFile(filepath.Join(w.dir, "state"))})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		return client, stop
	case err := <-ended:
		t.Fatalf("Run: %v", err)
		return nil, nil
	}
}

func TestServesTheEstate(t *testing.T) {
	w := newWorld(t)
	client, stop := w.start(t, serve.Options{})
	if h, err := client.Health(t.Context()); err != nil || !h.Ready {
		t.Errorf("%+v, %v", h, err)
	}
	disks, err := client.Disks(t.Context(), api.DiskQuery{})
	if err != nil || len(disks) != 3 {
		t.Fatalf("%+v, %v", disks, err)
	}
	for _, d := range disks {
		if d.VCenter != "lab" || d.Capacity != 1<<20 || d.Name == "" || d.Datastore == "" || d.LastPoint != nil {
			t.Errorf("%+v", d)
		}
	}
	some, err := client.Disks(t.Context(), api.DiskQuery{Datastore: disks[0].Datastore})
	if err != nil || len(some) == 0 || len(some) == 3 {
		t.Errorf("of %s: %d disks, %v", disks[0].Datastore, len(some), err)
	}
	byID, err := client.Disks(t.Context(), api.DiskQuery{Datastore: string(disks[0].DatastoreID)})
	if err != nil || len(byID) != len(some) {
		t.Errorf("by its id: %d disks, %v", len(byID), err)
	}
	if info, err := client.Repository(t.Context()); err != nil || info.URL != "dir://"+w.dir+"/repository" || info.FormatVersion != 1 {
		t.Errorf("%+v, %v", info, err)
	}
	for what, ask := range map[string]func() (int, error){
		"runs":      func() (int, error) { l, err := client.Runs(t.Context()); return len(l), err },
		"points":    func() (int, error) { l, err := client.Points(t.Context(), api.PointQuery{}); return len(l), err },
		"movers":    func() (int, error) { l, err := client.Movers(t.Context()); return len(l), err },
		"snapshots": func() (int, error) { l, err := client.Snapshots(t.Context()); return len(l), err },
	} {
		if n, err := ask(); n != 0 || err != nil {
			t.Errorf("%s: %d, %v", what, n, err)
		}
	}
	if err := stop(); err != nil {
		t.Errorf("a cancelled context is no clean end: %v", err)
	}
}

func TestOneCoordinatorAStateFolder(t *testing.T) {
	w := newWorld(t)
	_, stop := w.start(t, serve.Options{})
	name, err := os.ReadFile(filepath.Join(w.dir, "state", "instance"))
	if err != nil {
		t.Fatal(err)
	}
	err = serve.Run(t.Context(), w.config(t, ""), quiet(serve.Options{}))
	if ivd.KindOf(err) != ivd.Locked || ivd.RemedyOf(err) == "" || !strings.Contains(err.Error(), filepath.Join(w.dir, "state")) {
		t.Errorf("a second one: %v", err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	_, stop = w.start(t, serve.Options{})
	if again, err := os.ReadFile(filepath.Join(w.dir, "state", "instance")); err != nil || string(again) != string(name) {
		t.Errorf("a restarted coordinator has another name: %q, %q, %v", name, again, err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// Movers get their name and the configuration, which leads them to the queue; one that dies comes
// back; all are asked to end, and have ended when Run returns.
func TestMovers(t *testing.T) {
	w := newWorld(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(actsAsMover, w.dir)
	_, stop := w.start(t, serve.Options{Movers: 2, Mover: self, ConfigFile: w.file})
	for _, name := range []string{"m-1", "m-2"} {
		await(t, filepath.Join(w.dir, name), "ready")
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"m-1", "m-2"} {
		notes, err := os.ReadFile(filepath.Join(w.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(notes)), "\n")
		if len(lines) != 4 || lines[0] != "began --config "+w.file+" --name "+name || lines[1] != lines[0] || lines[3] != "asked to end" {
			t.Errorf("%s:\n%s", name, notes)
		}
	}
}

// A mover that ends for good ends the coordinator that runs it, with its reason.
func TestMoverEndsForGood(t *testing.T) {
	w := newWorld(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(actsAsMover, w.dir)
	t.Setenv(givesUp, "yes")
	err = serve.Run(t.Context(), w.config(t, ""), quiet(serve.Options{Movers: 1, Mover: self, ConfigFile: w.file}))
	if ivd.KindOf(err) != ivd.Invalid || !strings.Contains(err.Error(), "mover m-1: it ended for good: no library; unpack it") {
		t.Errorf("%v", err)
	}
}

// Whoever asks why no mover takes jobs is told the last error of one that runs here:
// what it said itself, or how its process ended.
func TestMoverThatEndsAgainAndAgain(t *testing.T) {
	w := newWorld(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(actsAsMover, w.dir)
	t.Setenv(failsWith, "the licence is expired")
	client, _ := w.start(t, serve.Options{Movers: 1, Mover: self, ConfigFile: w.file})
	for _, want := range []string{"the last error of mover m-1: exit status 3", "the last error of mover m-1: the licence is expired"} {
		for said := ""; !strings.Contains(said, want); {
			short, err := client.Shortage(t.Context())
			if err != nil || short.Failure == nil {
				t.Fatalf("%+v, %v", short, err)
			}
			said = short.Failure.Message
			if !strings.HasPrefix(said, "no mover takes jobs: 0 are connected") {
				t.Fatal(said)
			}
		}
	}
}

// What ends the start before anything is opened is what a check says.
func TestCheckIsTheStartItself(t *testing.T) {
	w := newWorld(t)
	for name, more := range map[string]string{
		"a certificate that is not there": "api: { listen: '127.0.0.1:0', tls: { cert_file: /nowhere.pem, key_file: /nowhere.pem } }\n",
		"tokens that are not there":       "api: { listen: '127.0.0.1:0', tokens_file: /nowhere }\n",
	} {
		cfg, err := config.Parse("ivd.yaml", []byte(strings.Replace(w.text, "api: { listen: \"127.0.0.1:0\" }\n", more, 1)))
		if err != nil {
			t.Fatal(err)
		}
		if err := serve.Check(cfg, quiet(serve.Options{})); ivd.KindOf(err) != ivd.Invalid || !strings.Contains(err.Error(), "/nowhere") {
			t.Errorf("%s: %v", name, err)
		}
	}
	cfg := w.config(t, "")
	cfg.VCenters[0].PasswordFile, cfg.VCenters[0].Thumbprint = "/nowhere", "AB"
	if err := serve.Check(cfg, quiet(serve.Options{})); err == nil || !strings.Contains(err.Error(), "/nowhere") || !strings.Contains(err.Error(), "thumbprint") {
		t.Errorf("%v", err)
	}
	if err := serve.Check(w.config(t, ""), quiet(serve.Options{})); err != nil {
		t.Error(err)
	}
	w.write(t, "file", "")
	for name, spoil := range map[string]func(*config.Config){
		"creds_file": func(c *config.Config) { c.Queue.URL, c.Queue.CredsFile = "nats://127.0.0.1:1", "/nowhere" },
		"queue.tls": func(c *config.Config) {
			c.Queue.Listen, c.Queue.TLS.CertFile, c.Queue.TLS.KeyFile = "127.0.0.1:0", "/nowhere", "/nowhere"
		},
		"credentials of":   func(c *config.Config) { c.Repository.URL, c.Repository.CredentialsFile = "s3://b", "/nowhere" },
		"state_dir: ":      func(c *config.Config) { c.StateDir = filepath.Join(w.dir, "file", "state") },
		"is no folder":     func(c *config.Config) { c.StateDir = filepath.Join(w.dir, "file") },
		"others may write": func(c *config.Config) { c.StateDir = "/tmp" },
	} {
		cfg := w.config(t, "")
		spoil(cfg)
		if err := serve.Check(cfg, quiet(serve.Options{})); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if err := serve.Run(t.Context(), cfg, quiet(serve.Options{})); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("the start, %s: %v", name, err)
		}
	}
}

// await waits until a file holds a line; the test's own deadline bounds it.
func await(t *testing.T, file, line string) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(30 * time.Second)
	for {
		if b, err := os.ReadFile(file); err == nil && strings.Contains(string(b), line+"\n") {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%s never said %q", file, line)
		}
	}
}

func TestNoMoverProgram(t *testing.T) {
	w := newWorld(t)
	t.Setenv("PATH", w.dir)
	err := serve.Run(t.Context(), w.config(t, ""), quiet(serve.Options{Movers: 1}))
	if ivd.KindOf(err) != ivd.NotFound || !strings.Contains(err.Error(), "ivd-mover is neither beside ivd nor on PATH") {
		t.Errorf("%v", err)
	}
}

// What is wrong ends the start with one error that says what to do.
func TestWrongStart(t *testing.T) {
	w := newWorld(t)
	other, open := t.TempDir(), t.TempDir()
	if err := os.Chmod(open, 0o775); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spoil func(*config.Config)
		kind  ivd.Kind
		want  string
	}{
		"no vCenter": {func(c *config.Config) { c.VCenters = nil }, ivd.Invalid, "vcenters"},
		"wrong password": {func(c *config.Config) {
			w.write(t, "wrong", "x\n")
			c.VCenters[0].PasswordFile = filepath.Join(w.dir, "wrong")
		}, ivd.Denied, "lab"},
		"one vCenter twice": {func(c *config.Config) {
			again := c.VCenters[0]
			again.Name = "again"
			c.VCenters = append(c.VCenters, again)
		}, ivd.Invalid, `"lab" and "again" of the configuration are the same`},
		"no password":      {func(c *config.Config) { c.VCenters[0].PasswordFile = other + "/none" }, ivd.Invalid, other + "/none"},
		"wrong thumbprint": {func(c *config.Config) { c.VCenters[0].Thumbprint = config.Thumbprint(strings.Repeat("00:", 19) + "00") }, ivd.Invalid, "00:00"},
		"no repository":    {func(c *config.Config) { c.Repository.URL = "dir://" + other }, ivd.NotFound, other},
		"a schedule": {func(c *config.Config) {
			p := config.DefaultPolicy()
			p.Name, p.Schedule = "nightly", "0 22 * * *"
			c.Policies = []config.Policy{p}
		}, ivd.Unsupported, "schedule"},
		"a state folder of many": {func(c *config.Config) { c.StateDir = open }, ivd.Denied, "others may write"},
		"strangers let in":       {func(c *config.Config) { c.API.Listen = "0.0.0.0:0" }, ivd.Invalid, "api"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := w.config(t, "")
			c.spoil(cfg)
			err := serve.Run(t.Context(), cfg, quiet(serve.Options{}))
			if err == nil || ivd.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v (kind %q); want %q with %q", err, ivd.KindOf(err), c.kind, c.want)
			}
			if errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
		})
	}
}
