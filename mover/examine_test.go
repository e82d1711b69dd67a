package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ivdmover/coordinator/inventory"
	"ivdmover/deploy/lab"
	"ivdmover/deploy/lab/script"
	"ivdmover/mover/disk/disktest"
	"ivdmover/mover/doctor"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// ward is a laboratory, a configuration of a mover, and the flags that lead a doctor
// to a disk.
type ward struct {
	t           *testing.T
	dir, config string
	libdir      string
	password    string
	login       job.Login
	flags       []string
	refs        []ivd.DiskRef
	snapshots   []ivd.SnapshotID
	environment []string // of the doctors, beside the usual
}

func newWard(t *testing.T) *ward {
	t.Helper()
	libdir, err := disktest.Build()
	if err != nil {
		t.Fatal(err)
	}
	w := &ward{t: t, libdir: libdir, dir: t.TempDir(), config: filepath.Join(t.TempDir(), "ivd.yaml")}
	l, err := lab.Start(t.Context(), lab.Options{Dir: w.dir, Disks: 2, DiskSize: 8 << 20, LibDir: libdir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	r := l.Ready()
	v, err := inventory.Connect(t.Context(), inventory.Config{
		Name: "lab", URL: r.URL, Username: r.Username, Password: ivd.Secret(r.Password), Thumbprint: r.Thumbprint,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	for d, err := range v.Disks(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		s, err := v.CreateSnapshot(t.Context(), d.Ref, "test")
		if err != nil {
			t.Fatal(err)
		}
		w.refs, w.snapshots = append(w.refs, d.Ref), append(w.snapshots, s)
	}
	login, err := v.Login(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.password, w.login = r.Password, login
	secret := filepath.Join(t.TempDir(), "password")
	text := fmt.Sprintf("mover: { name: p, bios_uuid: %s, luns: [], vddk: { libdir: %q, transports: [san, hotadd, nbdssl], temp_dir: %q } }\n",
		disktest.Proxy, libdir, filepath.Join(t.TempDir(), "vddk"))
	for path, content := range map[string]string{secret: r.Password + "\n", w.config: text} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.flags = []string{
		"--server", login.Server, "--port", fmt.Sprint(login.Port), "--user", r.Username, "--password-file", secret,
		"--thumbprint", r.Thumbprint, "--datastore", string(w.refs[0].Datastore()), "--disk", string(w.refs[0].ID()),
	}
	return w
}

// run runs a doctor and returns its status and what it wrote.
func (w *ward) run(args ...string) (code int, out, words string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 60*time.Second)
	defer cancel()
	cmd := program(ctx, append([]string{"doctor", "--config", w.config}, args...)...)
	cmd.Env = append(cmd.Env, w.environment...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run() // its status is what is looked at
	if strings.Contains(stdout.String()+stderr.String(), w.password) {
		w.t.Errorf("the password is in %s%s", &stdout, &stderr)
	}
	return cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

func (w *ward) report(code int, args ...string) doctor.Report {
	w.t.Helper()
	got, out, words := w.run(append(args, "-o", "json")...)
	var r doctor.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || got != code {
		w.t.Fatalf("status %d, want %d: %v in %q, %q", got, code, err, out, words)
	}
	return r
}

func bad(r doctor.Report) (names []string) {
	for _, c := range r.Checks {
		if !c.Good {
			names = append(names, c.Name)
		}
	}
	return names
}

// The doctor, too, believes the library alone of what it uses.
func TestDoctorOfAReplacedTransport(t *testing.T) {
	w := newWard(t)
	if err := script.WriteHosts(w.dir, script.Hosts{QuietFallback: true}); err != nil {
		t.Fatal(err)
	}
	r := w.report(0, append(w.flags, "--snapshot", string(w.snapshots[0]))...)
	if len(r.Transports) != 3 || r.Transports[0].Works || r.Transports[0].Reason != "asked for san, the library used nbdssl" || !r.Transports[2].Works {
		t.Errorf("%+v", r.Transports)
	}
}

// A library of another maker is used for what it can, and the report says who made it,
// which functions it lacks and what follows from that.
func TestDoctorOfALibraryThatLacksMuch(t *testing.T) {
	w := newWard(t)
	folder := t.TempDir()
	if err := disktest.Lacking(folder, "PrepareForAccess", "EndAccess", "GetMetadataKeys", "ReadMetadata", "WriteMetadata", "WriteAsync"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(w.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.config, bytes.Replace(text, []byte(w.libdir), []byte(folder), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	w.environment = []string{script.TransportsVariable + "=file:nbdssl:nbd"}
	flags := append(slices.Clone(w.flags), "--snapshot", string(w.snapshots[0]))
	r := w.report(0, flags...)
	l := r.Library
	if !strings.Contains(l.Maker, "laboratory VixDiskLib (8.0.0)") || l.Version != "8.0.0" || len(l.Absent) != 6 || len(l.Lacks) != 2 {
		t.Errorf("maker %q, version %q, absent %q, lacks %q", l.Maker, l.Version, l.Absent, l.Lacks)
	}
	if !slices.Equal(l.Modes, []string{"file", "nbdssl", "nbd"}) {
		t.Errorf("transports %q", l.Modes)
	}
	for i, want := range []bool{false, false, true} {
		if tr := r.Transports[i]; tr.Works != want || !want && !strings.Contains(tr.Reason, "VDDK 8.0.0 has file, nbdssl, nbd") {
			t.Errorf("%+v", tr)
		}
	}
	_, out, _ := w.run(flags...)
	for _, says := range []string{"maker        ivdmover laboratory", "WriteAsync: nothing can be restored", "VixDiskLib_PrepareForAccess, VixDiskLib_EndAccess: VMs may be relocated"} {
		if !strings.Contains(out, says) {
			t.Errorf("the report does not say %q:\n%s", says, out)
		}
	}
}

func TestDoctorOfAHealthyHost(t *testing.T) {
	w := newWard(t)
	if err := script.WriteHosts(w.dir, script.Hosts{Proxies: []script.Proxy{{BIOSUUID: disktest.Proxy, VM: "lab-vm-1", FreeSlots: 1}}}); err != nil {
		t.Fatal(err)
	}
	if code, out, words := w.run(append(w.flags, "--snapshot", string(w.snapshots[0]))...); code != 0 || !strings.Contains(words, "reading by nbdssl") || !strings.Contains(out, "8MiB") {
		t.Errorf("progress for people: status %d: %s%s", code, out, words)
	}
	if code, out, words := w.run(); code != 0 || !strings.Contains(out, "symbols") || strings.Contains(out, "NEEDED") || words != "" {
		t.Errorf("the library alone: status %d: %s%s", code, out, words)
	}
	r := w.report(0, append(w.flags, "--snapshot", string(w.snapshots[0]), "--capacity", "8MiB")...)
	if r.Disk == nil || r.Disk.Capacity != 8<<20 || len(r.Transports) != 3 || r.Library.Version == "" || len(r.Library.Present) < 25 {
		t.Fatalf("%+v", r)
	}
	for i, want := range []bool{false, true, true} {
		tr := r.Transports[i]
		if tr.Works != want || want && (tr.Bytes != 8<<20 || tr.Rate <= 0 || tr.Request < 1<<20) || !want && tr.Reason == "" {
			t.Errorf("%+v", tr)
		}
	}
	if !slices.ContainsFunc(r.Checks, func(c doctor.Check) bool { return c.Name == "reading its last MiB" && c.Good }) {
		t.Errorf("checks %+v", r.Checks)
	}
}

func TestDoctorFindsWhatIsWrong(t *testing.T) {
	w := newWard(t)
	if got := bad(w.report(1, append(w.flags, "--capacity", "9MiB")...)); !slices.Equal(got, []string{"its size is vSphere's"}) {
		t.Errorf("another size: %v", got)
	}
	r := w.report(1, append(w.flags, "--snapshot", string(w.snapshots[1]))...)
	if !slices.Equal(bad(r), []string{"opening the disk"}) || !strings.Contains(r.Transports[2].Reason, string(w.snapshots[1])) {
		t.Errorf("another disk's snapshot: %+v", r)
	}
	if err := script.WriteFaults(w.dir, script.Fault{Call: "Open", Mode: "nbdssl", Do: script.Panic}); err != nil {
		t.Fatal(err)
	}
	r = w.report(1, w.flags...)
	if got := bad(r); !slices.Equal(got, []string{"the process that loads the library"}) || r.Library.Version == "" {
		t.Errorf("a panic: %v, %+v", got, r)
	}
	for name, c := range map[string]struct {
		from, to string
		code     int
		says     string
	}{
		"a folder that is not there":        {"libdir: \"", "libdir: \"/nowhere", 1, "unpack VMware's VDDK"},
		"a transport that does not exist":   {"hotadd", "hotad", 2, "hotadd"},
		"a configuration that is not there": {"temp_dir:", "config_file: /nowhere/vddk.conf, temp_dir:", 1, "/nowhere/vddk.conf"},
		"a UUID that is none":               {disktest.Proxy, "4225", 2, "bios_uuid"},
	} {
		whole, err := os.ReadFile(w.config)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(w.config, bytes.Replace(whole, []byte(c.from), []byte(c.to), 1), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, out, words := w.run(); code != c.code || !strings.Contains(out+words, c.says) {
			t.Errorf("%s: status %d: %s%s", name, code, out, words)
		}
		if err := os.WriteFile(w.config, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// What is missing of the flags that stand for a coordinator is named, and what to do
// where there is none.
func TestDoctorSaysWhatItNeeds(t *testing.T) {
	w := newWard(t)
	away := "queue: { url: \"nats://127.0.0.1:1\" }\n"
	s, q := newQueue(t)
	ours := fmt.Sprintf("queue: { creds_file: %q }\n", creds(t, s, "p"))
	const setUp = "# the queue is set up\n"
	whole, err := os.ReadFile(w.config)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, queue string
		args        []string
		code        int
		says        []string
	}{
		{"half of what is needed", away, []string{"--disk", "x", "--server", "s", "--user", "u"}, 2, []string{"--datastore, --password-file and --thumbprint are missing"}},
		{"all but one", away, append(w.flags, "--thumbprint", ""), 2, []string{"--thumbprint is missing"}},
		{"a port alone", away, []string{"--disk", "x", "--port", "444"}, 2, []string{"--port", "--server"}},
		{"no disk", away, []string{"--server", "s"}, 2, []string{"--server needs --disk"}},
		{"a snapshot of no disk", away, []string{"--snapshot", "s"}, 2, []string{"--snapshot needs --disk"}},
		{"no coordinator on this machine", "state_dir: /nowhere\n", []string{"--disk", "x"}, 1, []string{"/nowhere/queue/socket", "ivd serve", "--server"}},
		{"a queue that is not there", away, []string{"--disk", "x"}, 1, []string{"127.0.0.1:1", "ivd serve", "--server"}},
		{"a queue that no coordinator has set up", ours, []string{"--disk", "x", "--queue", s.ClientURL()}, 1, []string{"ivd serve", "--server"}},
		{"a queue without a coordinator", ours + setUp, []string{"--disk", "x", "--queue", s.ClientURL()}, 1, []string{"no coordinator answers", "ivd serve", "--server"}},
	} {
		if strings.HasSuffix(c.queue, setUp) {
			if err := q.Setup(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(w.config, append([]byte(c.queue), whole...), 0o600); err != nil {
			t.Fatal(err)
		}
		code, out, words := w.run(c.args...)
		lines := strings.Count(words, "\n")
		for _, say := range c.says {
			if code != c.code || lines != 1 || out != "" || !strings.Contains(words, say) {
				t.Errorf("%s: status %d, %q, want %d and %q", c.name, code, words, c.code, c.says)
				break
			}
		}
	}
	if movers, _, err := q.Movers(t.Context()); err != nil || len(movers) != 0 {
		t.Errorf("%v, %v", movers, err)
	}
}

// A child gets the secrets on its standard input, and writes none.
func TestRequestsKeepTheirSecrets(t *testing.T) {
	l := job.Login{Server: "vc", Password: `pa"ss<word`, Cookie: "the-cookie", Allows: &job.Allows{DatastoreType: "VMFS"}}
	text, err := json.Marshal(childRequest{Login: expose(l)})
	if err != nil {
		t.Fatal(err)
	}
	var o childRequest
	if err := json.Unmarshal(text, &o); err != nil {
		t.Fatal(err)
	}
	got := o.Login.login()
	if got.Password != l.Password || got.Cookie != l.Cookie || got.Server != "vc" || got.Allows == nil || got.Allows.DatastoreType != "VMFS" {
		t.Errorf("%+v", o)
	}
	said, err := json.Marshal(childMessage{Progress: `logged in with the-cookie and pa"ss<word`})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{string(said), `the-cookie pa"ss<word`} {
		if c := o.redact(s); strings.Contains(c, "cookie") || strings.Contains(c, "word") || !strings.Contains(c, "***") {
			t.Errorf("%s", c)
		}
	}
}
