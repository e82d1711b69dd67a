package architecture

import (
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "ivdmover"

type pkg struct {
	Dir        string
	Name       string
	ImportPath string
	GoFiles    []string
	CgoFiles   []string
	Imports    []string
}

// rel is the package's path within the module: "shared/ivd".
func (p pkg) rel() string { return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/") }

func packages(t *testing.T) []pkg {
	t.Helper()
	list := exec.Command("go", "list", "-json=Dir,Name,ImportPath,GoFiles,CgoFiles,Imports", module+"/...")
	list.Env = append(os.Environ(), "CGO_ENABLED=1") // else files in C are left out
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 10 {
		t.Fatalf("go list knows %d packages only", len(all))
	}
	return all
}

// within reports whether path is folder or lies below it.
func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

// Each room may import, of this module, what lies in these folders (and in its own).
var directions = []struct {
	room   string
	allow  []string
	reason string
}{
	{"shared", []string{"shared"}, "shared knows neither program"},
	{"vddk", nil, "the binding knows nothing but C"},
	{"mover", []string{"mover", "shared", "vddk"}, "a mover gets what it needs in the job"},
	{"deploy/lab", []string{"deploy/lab", "shared"}, "the laboratory and the programs meet over its ports and the C ABI only"},
	{"deploy/stage", []string{"deploy/lab/owner", "shared"}, "programs are driven as users drive them"},
	{"deploy/demo", []string{"deploy/stage", "deploy/lab/owner", "shared"}, "the demo plays on the stage"},
	{"deploy/e2e", []string{"deploy/stage", "deploy/lab", "shared"}, "end-to-end tests see the programs from outside"},
	{"deploy/reader", []string{"shared"}, "a repository is made for the reader, which shares nothing with it"},
	{"deploy/architecture", nil, "only tests"},
	{"coordinator/coordtest", []string{"coordinator", "shared", "deploy/lab"}, "only tests import it"},
	{"coordinator", []string{"coordinator", "shared"}, "the coordinator is static: no C"},
}

func TestImportDirections(t *testing.T) {
	for _, p := range packages(t) {
		known := false
		for _, d := range directions {
			if !within(p.rel(), d.room) {
				continue
			}
			known = true
			for _, imp := range p.Imports {
				in, ours := strings.CutPrefix(imp, module+"/")
				if !ours || within(in, d.room) {
					continue
				}
				if p.rel() == "coordinator" && (within(in, "deploy/lab") || within(in, "deploy/demo")) {
					continue // main.go alone brings `ivd lab` and `ivd demo`
				}
				if !slices.ContainsFunc(d.allow, func(a string) bool { return within(in, a) }) {
					t.Errorf("%s imports %s: %s", p.rel(), in, d.reason)
				}
			}
			break
		}
		if !known {
			t.Errorf("%s: no rule says what this room may import", p.rel())
		}
	}
}

// A vendor's library is used in its adapters only, so that it can be replaced and
// its errors are classified in one place.
var adapters = map[string][]string{
	"github.com/minio/minio-go":      {"shared/store/s3", "shared/store/storetest"},
	"github.com/nats-io/nats.go":     {"shared/queue"},
	"github.com/nats-io/nats-server": {"coordinator/broker"},
	"github.com/nats-io/nkeys":       {"coordinator/broker"},
	"github.com/vmware/govmomi":      {"coordinator/inventory", "deploy/lab"},
	"github.com/klauspost/compress":  {"shared/format"},
	"lukechampine.com/blake3":        {"shared/format"},
	"github.com/spf13/cobra":         {"coordinator/cli", "mover"},
	"crypto/hpke":                    {"shared/sealed"}, // one place chooses the algorithms
	"go.etcd.io/bbolt":               {"coordinator/catalogue"},
	"github.com/vbauerster":          {"coordinator/cli/progress"},
	"go.yaml.in/yaml":                {"shared/config", "coordinator/cli"},
	"rsc.io/qr":                      {"coordinator/sheet"},
	"github.com/makiuchi-d/gozxing":  nil, // only tests read codes
}

func TestVendorLibrariesStayInTheirAdapters(t *testing.T) {
	for _, p := range packages(t) {
		for _, imp := range p.Imports {
			for lib, rooms := range adapters {
				if within(imp, lib) && !slices.ContainsFunc(rooms, func(r string) bool { return within(p.rel(), r) }) {
					t.Errorf("%s imports %s: only %v may", p.rel(), imp, rooms)
				}
			}
		}
	}
}

// Rooms that know what travels, and not how: they import job, and never the queue.
var withoutQueue = []string{"mover/pipeline", "mover/disk", "coordinator/plan", "coordinator/api", "coordinator/cli"}

func TestTheQueueIsKnownToFew(t *testing.T) {
	seen := 0
	for _, p := range packages(t) {
		if !slices.ContainsFunc(withoutQueue, func(r string) bool { return within(p.rel(), r) }) {
			continue
		}
		seen++
		if slices.Contains(p.Imports, module+"/shared/queue") {
			t.Errorf("%s imports shared/queue: what it needs is in shared/job", p.rel())
		}
	}
	if seen < len(withoutQueue) {
		t.Errorf("found %d of the rooms %v", seen, withoutQueue)
	}
}

// Rooms that know nothing of others, although those are drawn below or beside them.
var strangers = []struct {
	room   string
	others []string
	reason string
}{
	{"coordinator/engine", []string{"coordinator/inventory", "coordinator/fleet", "coordinator/plan", "coordinator/policy"}, "what a run works on is its workflow's"},
	{"coordinator/ledger", []string{"coordinator/inventory", "coordinator/fleet", "coordinator/engine", "shared/repo"}, "each kind of obligation brings its own undo"},
	{"coordinator/fleet", []string{"coordinator/inventory", "coordinator/engine", "coordinator/ledger", "shared/repo"}, "it knows movers only"},
	{"coordinator/catalogue", []string{"coordinator/inventory", "coordinator/engine", "shared/queue"}, "points are the repository's"},
	{"coordinator/backup", []string{"shared/queue", "coordinator/restore", "coordinator/examine", "coordinator/fleet"}, "a workflow knows nothing of queues and of other workflows"},
	{"coordinator/restore", []string{"shared/queue", "coordinator/backup", "coordinator/examine", "coordinator/fleet"}, "a workflow knows nothing of queues and of other workflows"},
}

func TestRoomsThatKnowNothingOfOthers(t *testing.T) {
	all := packages(t)
	for _, s := range strangers {
		i := slices.IndexFunc(all, func(p pkg) bool { return p.rel() == s.room })
		if i < 0 {
			t.Errorf("there is no %s", s.room)
			continue
		}
		for _, other := range s.others {
			if slices.Contains(all[i].Imports, module+"/"+other) {
				t.Errorf("%s imports %s: %s", s.room, other, s.reason)
			}
		}
	}
}

// Rooms that only who puts the coordinator together imports, beside tests: the
// engine gets its workflows from there.
var handedIn = []string{"coordinator/backup", "coordinator/restore", "coordinator/examine", "coordinator/login"}

func TestWorkflowsAreHandedIn(t *testing.T) {
	seen := 0
	for _, p := range packages(t) {
		for _, room := range handedIn {
			if !slices.Contains(p.Imports, module+"/"+room) {
				continue
			}
			seen++
			if p.rel() != "coordinator/serve" && p.rel() != "coordinator/coordtest" {
				t.Errorf("%s imports %s: only coordinator/serve may", p.rel(), room)
			}
		}
		if slices.Contains(p.Imports, module+"/coordinator/coordtest") {
			t.Errorf("%s imports coordinator/coordtest: only tests may", p.rel())
		}
	}
	if seen < len(handedIn) {
		t.Errorf("only %d imports of %v were found", seen, handedIn)
	}
}

// The pure rooms compute: no I/O, no clock, no goroutines of their own.
func TestPureRooms(t *testing.T) {
	forbidden := []string{"os", "net", "net/http", "io/fs", "log/slog", "context", "sync/atomic", "math/rand", "math/rand/v2", "crypto/rand"}
	pure := []string{"coordinator/plan", "coordinator/admit", "coordinator/retain", "coordinator/cost", "coordinator/schedule", "shared/format"}
	seen := 0
	for _, p := range packages(t) {
		if !slices.Contains(pure, p.rel()) {
			continue
		}
		seen++
		for _, imp := range p.Imports {
			if slices.Contains(forbidden, imp) {
				t.Errorf("%s imports %s: it is a pure room", p.rel(), imp)
			}
		}
		for _, f := range p.GoFiles {
			reportClock(t, p.rel(), f, filepath.Join(p.Dir, f))
		}
	}
	if seen != len(pure) {
		t.Errorf("found %d of the pure rooms %v", seen, pure)
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, p := range packages(t) {
		docs := 0
		for _, f := range append(p.GoFiles, p.CgoFiles...) {
			tree, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, f), nil, parser.ParseComments|parser.PackageClauseOnly)
			if err != nil {
				t.Fatal(err)
			}
			if tree.Doc != nil && len(tree.Doc.Text()) > 40 {
				docs++
			}
		}
		if docs != 1 && len(p.GoFiles)+len(p.CgoFiles) > 0 {
			t.Errorf("%s has %d package comments: want one", p.rel(), docs)
		}
	}
}
