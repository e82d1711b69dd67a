package cli_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"ivdmover/coordinator/catalogue"
	"ivdmover/coordinator/cli"
	"ivdmover/coordinator/inventory"
	"ivdmover/shared/config"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	storedir "ivdmover/shared/store/dir"
)

const (
	noDisk  = "99999999-1111-4222-8333-444455556666"
	noPack  = "0000000000000000000000000000000000000000000000000000000000000000"
	noPoint = "00000000-0000-4000-8000-000000000000/vc/disk/20260101T000000Z-run"
)

// asking are the commands that ask a coordinator, each with the arguments that it needs,
// reading those that read a configuration.
var (
	asking = []string{
		"disks", "snapshots", "snapshots delete x", "backup --all", "runs", "run show x", "run show x --follow", "run cancel x",
		"points", "points --check", "point show x@latest", "restore x@latest", "verify x@latest", "verify --all --sample 5", "verify --packs due", "movers", "repo info",
		"forget x@latest --yes", "forget --policy p --dry-run", "pin x@latest", "unpin x@latest", "hold x@latest --until 2030-01-31 --reason x", "release x@latest --reason x",
	}
	reading = []string{
		"serve", "config check", "config check --movers 1", "repo init", "repo info", "repo adopt", "repo head", "repo cost", "repo check-store", "movers add x",
		"collect", "collect --dry-run", "verify --keyless", "repo needs " + noPack,
		"repo retire --reason x " + noPack, "repo unretire --reason x " + noPack,
		"repo retire --writer x --dry-run", "repo unretire --writer x --dry-run", "repo quarantine --reason x " + noPoint,
		"repo key list", "repo key add --name x", "repo key remove x", "repo key rotate", "repo key export --backup --name x --output /nowhere/x", "repo key sheet", "repo domain add x", "repo domain list",
	}
)

// both reads a configuration first, and then asks: TestForecastOfAPolicy has its mistakes.
const both = "repo cost"

// mistake is a command line, in words, and how it ends.
type mistake struct {
	code int
	says string
	line string
}

type mistakes []mistake

func (m *mistakes) add(code int, says string, lines ...string) {
	for _, line := range lines {
		*m = append(*m, mistake{code, says, line})
	}
}

// check runs them all. Each writes one line for each problem, of which none is said
// twice, every one says what to do, and one has what the mistake says.
func (m mistakes) check(t *testing.T) {
	t.Helper()
	remedies := []string{"; ", ": want ", ": did you mean ", ": give ", "give ", ": must be set", ": name at least ", "needs a "}
	for _, x := range m {
		code, out, errs := do(t.Context(), cli.Extra{}, strings.Fields(x.line)...)
		lines := slices.Collect(strings.Lines(errs))
		if code != x.code || out != "" || !strings.Contains(errs, x.says) || len(lines) != len(slices.Compact(slices.Sorted(slices.Values(lines)))) {
			t.Errorf("ivd %s: %d, want %d and %q\n%s%s", x.line, code, x.code, x.says, out, errs)
		}
		for _, line := range lines {
			if !strings.HasPrefix(line, "ivd: ") || !slices.ContainsFunc(remedies, func(r string) bool { return strings.Contains(line, r) }) {
				t.Errorf("ivd %s: no remedy: %s", x.line, line)
			}
		}
	}
}

// each is every line with more words behind it.
func each(lines []string, more string) []string {
	all := make([]string, len(lines))
	for i, line := range lines {
		all[i] = line + " " + more
	}
	return all
}

// The survey misses no command: each that has the flag is in the list.
func TestSurveyHasEveryCommand(t *testing.T) {
	for flag, lines := range map[string][]string{"server": asking, "config": reading} {
		eachCommand(cli.Root(cli.Extra{}), func(c *cobra.Command) {
			path := strings.TrimPrefix(c.CommandPath(), "ivd ")
			listed := slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line+" ", path+" ") })
			if has := c.Flags().Lookup(flag) != nil; has && !listed && (path != both || flag != "server") {
				t.Errorf("%s has --%s", c.CommandPath(), flag)
			}
		})
	}
}

// A command line that can never be right ends with 2, whoever finds it, and before
// anything is asked or made.
func TestMistakesOfTheCommandLine(t *testing.T) {
	var m mistakes
	eachCommand(cli.Root(cli.Extra{}), func(c *cobra.Command) {
		path := strings.TrimPrefix(strings.TrimPrefix(c.CommandPath(), "ivd"), " ")
		m.add(2, "unknown flag: --nosuch; see `"+c.CommandPath()+" --help`", path+" --nosuch")
		if c.HasSubCommands() {
			m.add(2, `unknown command "`+c.CommandPath()+` nosuch"; see `+"`"+c.CommandPath()+" --help`", path+" nosuch", "help "+path+" nosuch")
		}
		if f := c.Flags().Lookup("output"); f != nil && f.Value.Type() == "FORMAT" {
			m.add(2, "want table, json", path+" -o xml")
		}
	})
	m.add(2, "takes no argument", "disks x", "runs x", "points x", "version x", "serve x", "config check x", "config reference x",
		"repo init x", "repo info x", "repo adopt x", "repo check-store x", "demo x", "help disks x")
	m.add(2, "needs a ", "run show", "run cancel", "point show", "restore", "snapshots delete", "completion", "man", "movers add", "points --disk=")
	m.add(2, "needs a ", "repo key remove", "repo key add", "repo key add --key-file x")
	m.add(2, "give --backup", "repo key export", "repo key export --backup --name x", "repo key export --name x --output y")
	m.add(2, "not both", "repo key add --name x --key-file y --new-passphrase-file z")
	m.add(2, "no PDF", "repo key sheet --output x.pdf")
	m.add(2, "takes one ", "repo key remove a b")
	m.add(2, "takes one ", "run show a b", "run cancel a b", "point show a b", "restore a b", "snapshots delete a b", "completion bash zsh", "man a b", "movers add a b")
	m.add(2, "needs --", "lab", "lab write", "lab write --dir d", "lab write --dir d --disk "+noDisk)
	m.add(2, "give one of", "backup --all --policy p", "backup --all --disk d", "lab write --dir d --offset 0 --disk "+noDisk)
	m.add(2, "invalid argument", "serve --movers x", "repo init --expected-size much", "demo --size 3X", "demo --disks x", "lab --dir d --disk-size x", "lab --dir d --disks x")
	m.add(2, "--disk", "backup", "backup x")
	m.add(2, "name some, or give --all", "verify", "verify --structure")
	m.add(2, "one of them", "verify --all x@latest", "verify --all --disk x", "verify --policy p --disk x", "verify --all --structure --sample 5")
	m.add(2, "want new, due or all", "verify --packs=old")
	m.add(2, "reads all packs", "verify --keyless --wait", "verify --keyless --sample 5")
	m.add(2, "goes with --keyless", "verify --all --config x")
	m.add(2, "packs are read whole", "verify --packs new --structure")
	m.add(2, "want 1 to 100", "verify --all --sample 0", "verify --all --sample 101")
	m.add(2, "give --policy, or points", "forget", "forget --dry-run")
	m.add(2, "give --policy or points, not both", "forget --policy p x@latest")
	m.add(2, "give one of them", "forget --policy p --dry-run --yes")
	m.add(2, "then give --yes", "forget --policy p", "forget x@latest")
	m.add(2, "needs a POINT", "pin", "unpin", "hold", "release")
	m.add(2, "give --reason", "hold x@latest --until 2030-01-31", "release x@latest")
	m.add(2, "give --until as", "hold x@latest --reason x", "hold x@latest --reason x --until soon")
	m.add(2, "no restore point", "pin nosuch", "forget nosuch --yes")
	m.add(2, "want 0 or more", "serve --movers -1", "config check --movers -1", "demo --disks -1", "lab --dir d --disks -1")
	m.add(2, "not both", "config check --mover --movers 2", "repo retire --writer x "+noPack, "repo unretire --writer x "+noPack)
	m.add(2, "give --passphrase-file or --plain, not both", "repo init --plain --passphrase-file x")
	m.add(2, "give --reason", "repo retire "+noPack, "repo unretire "+noPack, "repo quarantine "+noPoint)
	m.add(2, "needs a POINT", "repo quarantine")
	m.add(2, "the long name", "repo quarantine --reason x nosuch")
	m.add(2, "ivd points -o json", "repo retire --reason x y", "repo unretire --reason x y")
	m.add(2, "--writer", "repo retire --reason x", "repo unretire --reason x", "repo retire --yes "+noPack, "repo unretire --dry-run "+noPack, "repo retire --writer x", "repo unretire --writer x --yes --dry-run")
	m.add(2, "make a repository", "repo init --chunk-size 3", "repo init --pack-size 1KiB")
	m.add(2, "give a URL such as", each(asking, "--server nosuch")...)
	m.add(2, "use https", "runs --token x --server http://ivd.example:8440")
	m.add(2, "CA file /nowhere", "runs --ca-file /nowhere --server https://127.0.0.1:1")
	m.add(2, "as `ivd points` lists it", "restore x", "verify x", "point show x")
	m.add(2, "is no moment", "restore x@yesterday", "point show x@yesterday")
	m.add(2, "want bash, zsh, fish or powershell", "completion tcsh")
	m.add(2, "name a folder that exists", "man /nowhere")
	m.check(t)
}

// A configuration that can never be right ends with 2, and each problem is said once.
func TestMistakesOfTheConfiguration(t *testing.T) {
	dir := t.TempDir()
	text := fmt.Sprintf(`vcenters: [{ name: lab, url: "https://127.0.0.1:1/sdk", username: u, password_file: %q }]
repository: { url: "dir://%s" }
mover: { name: m, vddk: { libdir: /nowhere } }
state_dir: %q
`, write(t, "password", "p\n"), dir, filepath.Join(dir, "state"))
	with := func(changes ...string) string {
		changed := strings.NewReplacer(changes...).Replace(text)
		if changed == text {
			t.Fatalf("%q change nothing", changes)
		}
		return "--config " + write(t, "ivd.yaml", changed)
	}
	var m mistakes
	loading := append([]string{"config check --mover"}, reading...)
	m.add(2, "no such file or directory; name the file with --config", each(loading, "--config /nowhere.yaml")...)
	m.add(2, "is a directory; name the file with --config", each(loading, "--config "+dir)...)
	m.add(2, "quue: unknown key", each(loading, with("state_dir", "quue"))...)
	m.add(2, "not YAML: ", each(loading, with(" }]", "\""))...)
	m.add(2, "unknown kind of store", each(reading, with("dir://", "ftp://"))...)
	m.add(2, "repository.url: must be set", each(reading, "--config "+write(t, "empty.yaml", ""))...)
	checking := []string{"serve --movers 1", "config check", "config check --movers 2"}
	m.add(2, "mover.name: ", each(checking, with("name: m,", "name: 'm m',"))...)
	both := with("name: m,", "name: 'm m',", "dir://", "ftp://")
	m.add(2, "mover.name: ", each(checking, both)...)
	m.add(2, "repository.url: ", each(checking, both)...)
	m.add(2, "m*x", "movers add m*x "+with("name: m,", "name: n,"))
	m.add(2, "mkdir -p ", "repo init --plain "+with("dir://", "dir:///nowhere"))
	m.add(2, "there is no terminal to ask for its passphrase; give --passphrase-file, or --plain", "repo init "+with("name: m,", "name: n,"))
	m.add(2, "repository.root: it names the root key of a repository that is there already; leave it out", "repo init --plain "+with(" }\nmover", ", root: 00112233445566778899aabbccddeeff }\nmover"))
	for _, key := range []string{"passphrase_file", "backup_key_file"} {
		named := with(" }\nmover", ", "+key+": /nowhere }\nmover")
		m.add(2, "read secret from /nowhere: open /nowhere", each([]string{"serve", "config check"}, named)...)
		m.add(2, "the configuration has repository."+key+": give one of the two", "repo init --plain "+named)
	}
	m.add(2, "read secret from /nowhere: open /nowhere", "repo init --passphrase-file /nowhere "+with("name: m,", "name: n,"))
	m.add(2, "use debug, info, warn or error", "serve --log-level loud "+with("name: m,", "name: n,"))
	m.add(2, "use text or json", "serve --log-format xml "+with("name: m,", "name: n,"))
	m.check(t)
}

// What is not there, or is not as it would have to be, ends with 1: the same command
// line may be right another day.
func TestMistakesAboutTheWorld(t *testing.T) {
	dir := t.TempDir()
	l := start(t, "lab", "--dir", filepath.Join(dir, "lab"), "--disks", "1", "--disk-size", "1MiB")
	file := configOf(t, l, dir)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, "policies: [{ name: none, select: { names: [none-*] } }]\n"...)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := do(t.Context(), cli.Extra{}, "repo", "init", "--plain", "--config", file); code != 0 {
		t.Fatal(errs)
	}
	half := makeDisks(t, string(text))
	partial := makePoints(t, dir)
	p := start(t, "serve", "--config", file, "--log-format", "json")
	var log struct{ Msg, API string }
	for log.Msg != "the coordinator is ready" {
		if err := json.Unmarshal([]byte(p.errLine(t)), &log); err != nil {
			t.Fatal(err)
		}
	}
	go func() { _, _ = io.Copy(io.Discard, p.errs) }()
	server := "--server " + log.API + " --token-file " + filepath.Join(dir, "state", "api.token")
	elsewhere := "--config " + write(t, "elsewhere.yaml", strings.NewReplacer("dir://", "dir:///nowhere", `/state"`, `/other"`).Replace(string(text)))
	known := "--config " + file

	var m mistakes
	m.add(1, "nosuch", each([]string{
		"disks --datastore nosuch", "points --disk nosuch", "points --check --disk nosuch", "points --disk nosuch/" + noDisk,
		"run show nosuch", "run show nosuch --follow", "run cancel nosuch", "point show nosuch@latest", "restore nosuch@latest", "verify nosuch@latest", "verify --policy nosuch", "verify --disk nosuch", "restore nosuch@latest --vcenter nosuch",
		"restore data@latest --vcenter nosuch", "restore data@latest --vcenter lab --datastore nosuch", "backup --disk nosuch", "backup --disk nosuch/" + noDisk, "backup --policy nosuch",
		"backup --all --vcenter nosuch", "snapshots delete nosuch", "snapshots delete nosuch --vcenter nosuch",
	}, server)...)
	m.add(1, noDisk, each([]string{"points --disk " + noDisk, "backup --disk " + noDisk, "backup --disk lab/" + noDisk}, server)...)
	m.add(1, "no restore point 00000000", each([]string{"point show 00000000", "restore 00000000"}, server)...)
	m.add(1, "no writer has worked as mover", each([]string{"repo retire --writer nosuch --dry-run", "repo unretire --writer nosuch --dry-run"}, known)...)
	m.add(1, "no such file or directory", each([]string{
		"serve", "repo info", "repo adopt", "repo retire --reason x " + noPack, "repo unretire --reason x " + noPack, "repo retire --writer x --dry-run", "repo unretire --writer x --dry-run", "repo quarantine --reason x " + noPoint,
		"repo key list", "repo key add --name x", "repo key remove x", "repo key rotate", "repo key export --backup --name x --output /nowhere/x", "repo key sheet", "repo domain add x", "repo domain list",
	}, elsewhere)...)
	// It is there, and is not what is needed.
	m.add(1, "is what restore ", "backup --disk "+half+" "+server)
	m.add(1, "is partial", "restore "+partial+" "+server)
	m.add(1, "there is no disk to back up", "backup --policy none "+server)
	m.add(1, `2 disks are meant by "twin"`, "backup --disk twin "+server)
	m.add(1, "2 disks are called double", "restore double@latest "+server, "point show double@latest "+server)
	m.add(1, "there is one already", "repo init --plain "+known)
	m.add(1, "another `ivd serve` uses it", "serve "+known)
	// Who is not let in, and where nobody answers.
	m.add(1, "token", each(asking, "--token wrong --server "+log.API)...)
	m.add(1, "; is `ivd serve` running? --server or", each(asking, "--server "+nobody(t))...)
	m.check(t)

	if code, _, errs := do(t.Context(), cli.Extra{}, append([]string{"disks"}, strings.Fields(server)...)...); code != 0 {
		t.Errorf("the coordinator has not outlived them: %d %s", code, errs)
	}
	for _, x := range []*process{p, l} {
		x.signal(t, os.Interrupt)
		if err := x.cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
}

// makeDisks makes two disks of one name in the vCenter of a configuration, and one that
// a restore has left, whose id it returns.
func makeDisks(t *testing.T, text string) string {
	t.Helper()
	cfg, err := config.Parse("ivd.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	c := cfg.VCenters[0]
	password, err := config.ReadSecret(c.PasswordFile, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	v, err := inventory.Connect(t.Context(), inventory.Config{Name: c.Name, URL: c.URL, Username: c.Username, Password: password, Thumbprint: string(c.Thumbprint), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = v.Close() }()
	stores, err := v.Datastores(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	made := func(name string, marks ...inventory.Mark) ivd.DiskRef {
		ref, err := v.CreateDisk(t.Context(), stores[0].ID, name, 1, marks...)
		if err != nil {
			t.Fatal(err)
		}
		return ref
	}
	made("twin")
	made("twin")
	return string(made(inventory.WorkingPrefix+string(runA)+"-11111111", inventory.NewMark("run", string(runA))).ID())
}

// makePoints commits to a repository points of zeros: of two disks that are called double,
// of one that is called data, and a partial one, whose short id it returns.
func makePoints(t *testing.T, dir string) string {
	t.Helper()
	st, err := storedir.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	r, err := repo.Open(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	l, err := r.OpenLease(t.Context(), repo.LeaseSpec{})
	if err != nil {
		t.Fatal(err)
	}
	save := func(disk ivd.DiskID, name string, partial *format.Partial) ivd.PointID {
		id := ivd.NewPointID(r.Domain(), source, disk, evening, runA)
		if partial != nil {
			id += ".p1"
		}
		if _, err := r.Commit(t.Context(), l, format.Point{
			ID: id, Source: format.PointSource{Kind: format.VCenter, ID: source}, Disk: format.PointDisk{Kind: ivd.IVD, ID: disk, Name: name},
			Tracking: format.Tracking{CBT: format.CBTOff, Mode: format.ReadAllocated}, Consistency: format.CrashConsistent,
			Geometry: ivd.Geometry{Capacity: 1 << 20, ChunkSize: ivd.DefaultChunkSize}, Run: runA, Time: evening, Partial: partial,
		}); err != nil {
			t.Fatal(err)
		}
		return id
	}
	save(diskA, "double", nil)
	save(diskB, "double", nil)
	save("77777777-1111-4222-8333-444455556666", "data", nil)
	id := save("88888888-1111-4222-8333-444455556666", "begun", &format.Partial{})
	if err := r.EndLease(t.Context(), l.ID); err != nil {
		t.Fatal(err)
	}
	return catalogue.Short(id)
}
