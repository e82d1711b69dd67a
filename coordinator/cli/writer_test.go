package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ivdmover/coordinator/cli"
	"ivdmover/shared/damage"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
	"ivdmover/shared/trust"
)

// writerShown is what the commands about a writer print as JSON.
type writerShown struct {
	Writers []struct {
		ID    ivd.WriterID `json:"id"`
		Until *string      `json:"at_work_until"`
	} `json:"writers"`
	Packs   []ivd.PackID `json:"packs"`
	Unnamed int          `json:"unneeded_packs"`
	Points  []struct {
		ID    ivd.PointID `json:"id"`
		Packs int         `json:"packs"`
	} `json:"points"`
	Damaged []ivd.Damage `json:"damaged"`
	DryRun  bool         `json:"dry_run"`
}

// written is a repository in which two movers have worked. The second point builds on
// the first, whose packs one mover has stored.
type written struct {
	*repotest.Repository
	config string
	points [2]repotest.Point
	orphan ivd.PackID // which the first mover has stored for no point
}

func twoMovers(t *testing.T) *written {
	t.Helper()
	r := repotest.New(t)
	w := &written{Repository: r, config: filepath.Join(t.TempDir(), "ivd.yaml")}
	if err := os.WriteFile(w.config, []byte("repository: { url: 'dir://"+r.Dir+"' }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := repotest.NewDisk(ivd.Geometry{Capacity: 2 * ivd.ChunksPerSpan * ivd.MinChunkSize, ChunkSize: ivd.MinChunkSize})
	for i, mover := range []string{"stolen", "good"} {
		if _, err := d.WriteAt([]byte{byte(i + 1)}, int64(i)*d.Geometry.SpanSize()); err != nil {
			t.Fatal(err)
		}
		w.points[i] = r.Save(d, repotest.Layout{Mover: mover, NodesPerPack: 1})
	}
	at, err := r.NewWriter(r.Lease(repo.WriteLease), ivd.NewWriterID(), "stolen") // is at work
	if err != nil {
		t.Fatal(err)
	}
	ref, _, _, err := at.PutPack(t.Context(), at.NewPack(format.DataPack))
	if err != nil {
		t.Fatal(err)
	}
	w.orphan = ref.Pack
	return w
}

func (w *written) run(t *testing.T, args ...string) (int, writerShown, string) {
	t.Helper()
	code, out, errs := do(t.Context(), cli.Extra{}, append([]string{"repo", "--config", w.config, "-o", "json"}, args...)...)
	var shown writerShown
	if code == 0 || code == 3 {
		if err := json.Unmarshal([]byte(out), &shown); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	return code, shown, errs
}

func (w *written) retired(t *testing.T) []ivd.PackID {
	t.Helper()
	x, err := w.Retired(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return x.Packs()
}

// stolen are the packs that the stolen mover has stored.
func (w *written) stolen() []ivd.PackID {
	p := w.points[0]
	return damage.Sorted([]ivd.PackID{w.Place(p.Disk, 0).Pack, p.Nodes[0].Place.Pack, p.Pages[0].Place.Pack, w.orphan})
}

// All that a mover has stored is retired at once, by one list, and lifted again; what the
// other mover has stored is not. Which points it hurts is told before.
func TestRetireByWriter(t *testing.T) {
	w := twoMovers(t)
	lists := func() int {
		n := 0
		for _, err := range w.Store.List(t.Context(), "retired/") {
			if n++; err != nil {
				t.Fatal(err)
			}
		}
		return n
	}
	check := func(code int, shown writerShown, errs string) {
		t.Helper()
		if code != 0 || errs != "" || !slices.Equal(shown.Packs, w.stolen()) || shown.Unnamed != 1 || len(shown.Damaged) != 0 {
			t.Errorf("exit code %d, %q, %+v; want %v", code, errs, shown, w.stolen())
		}
		// The second point has the first span's node and chunk from the first.
		if len(shown.Points) != 2 || shown.Points[0].ID != w.points[0].ID || shown.Points[0].Packs != 3 || shown.Points[1].Packs != 1 {
			t.Errorf("points %+v", shown.Points)
		}
		// They began in one second, perhaps, and then come in the order of their ids.
		if len(shown.Writers) != 2 || (shown.Writers[0].Until == nil) == (shown.Writers[1].Until == nil) {
			t.Errorf("writers %+v, want one of two at work", shown.Writers)
		}
	}
	code, shown, errs := w.run(t, "retire", "--writer", "stolen", "--dry-run")
	check(code, shown, errs)
	if !shown.DryRun || len(w.retired(t)) != 0 {
		t.Errorf("a dry run has retired %v", w.retired(t))
	}
	_, text, _ := do(t.Context(), cli.Extra{}, "repo", "retire", "--config", w.config, "--writer", "stolen", "--dry-run")
	for _, want := range []string{"would be retired: 4 packs, needed by 2 restore points\n", "it may be at work until ", "mover stolen, began "} {
		if !strings.Contains(text, want) {
			t.Errorf("the table lacks %q:\n%s", want, text)
		}
	}
	code, shown, errs = w.run(t, "retire", "--writer", "stolen", "--reason", "it is gone", "--yes")
	check(code, shown, errs)
	if got := w.retired(t); !slices.Equal(got, w.stolen()) || lists() != 1 {
		t.Errorf("retired %v by %d lists, want %v by one", got, lists(), w.stolen())
	}
	// No later backup builds on them.
	known, err := trust.Open(t.Context(), w.Repository.Repository, w.Lease(repo.WriteLease).ID, trust.Recheck)
	if err != nil {
		t.Fatal(err)
	}
	p := w.points[1]
	page, err := known.ParentPage(t.Context(), p.Pages[0], trust.Taking{SealedAt: w.Now(), Parent: p.Geometry, Child: p.Geometry})
	if err != nil || page.Takeable(0) || !page.Takeable(1) {
		t.Errorf("span 0, of the stolen mover, can be taken over: %t; span 1, of the other: %t; %v", page.Takeable(0), page.Takeable(1), err)
	}
	// Again: there is nothing left, and no list is stored.
	if code, shown, _ = w.run(t, "retire", "--writer", "stolen", "--reason", "again", "--yes"); code != 0 || len(shown.Packs) != 0 || lists() != 1 {
		t.Errorf("again: %d, %+v, %d lists", code, shown, lists())
	}
	// One that is damaged stays retired.
	node := w.points[0].Nodes[0].Place
	w.Damage(format.IndexPack, node.Pack, node.Offset+60)
	if code, shown, errs = w.run(t, "unretire", "--writer", "stolen", "--reason", "it was found", "--yes"); code != 3 || len(shown.Packs) != 3 || len(shown.Damaged) != 1 || !strings.Contains(errs, node.Pack.String()) {
		t.Errorf("lifted: %d, %q, %+v", code, errs, shown)
	}
	if got := w.retired(t); !slices.Equal(got, []ivd.PackID{node.Pack}) {
		t.Errorf("after that %v are retired", got)
	}
}

// One writer is meant by its id, also where its record is damaged or gone.
func TestRetireByWriterID(t *testing.T) {
	w := twoMovers(t)
	all, err := w.Writers(t.Context())
	if err != nil || len(all) != 3 {
		t.Fatalf("%d writers: %v", len(all), err)
	}
	first := w.points[0].Pages[0].Place.Writer
	want := slices.DeleteFunc(w.stolen(), func(id ivd.PackID) bool { return id == w.orphan })
	for _, harm := range []func(string){
		func(string) {},
		func(name string) {
			if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		func(name string) {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		},
	} {
		harm(filepath.Join(w.Dir, "writers", w.Domain().String(), first.String()))
		if code, shown, errs := w.run(t, "retire", "--writer", first.String(), "--dry-run"); code != 0 || !slices.Equal(shown.Packs, want) {
			t.Errorf("%d, %q, %+v; want %v", code, errs, shown, want)
		}
	}
}

// What cannot be read is told of, and a page that is gone hides no pack: its header says
// who wrote it.
func TestRetireByWriterOfDamagedPoints(t *testing.T) {
	w := twoMovers(t)
	want := w.stolen()
	page := w.points[0].Pages[0].Place
	w.Damage(format.IndexPack, page.Pack, page.Offset+60)
	code, shown, errs := w.run(t, "retire", "--writer", "stolen", "--dry-run")
	if code != 3 || !slices.Equal(shown.Packs, want) || !strings.Contains(errs, page.Pack.String()) {
		t.Errorf("%d, %q, %+v", code, errs, shown)
	}
}

func TestRetireByWriterUsage(t *testing.T) {
	w := twoMovers(t)
	for _, c := range []struct {
		says string
		args []string
	}{
		{"see with --dry-run", []string{"--writer", "stolen", "--reason", "x"}},
		{"see with --dry-run", []string{"--writer", "stolen", "--reason", "x", "--yes", "--dry-run"}},
		{"not both", []string{"--writer", "stolen", "--yes", "--reason", "x", strings.Repeat("ab", 32)}},
		{"go with --writer", []string{"--yes", "--reason", "x", strings.Repeat("ab", 32)}},
		{"--reason", []string{"--writer", "stolen", "--yes"}},
	} {
		for _, command := range []string{"retire", "unretire"} {
			if code, _, errs := w.run(t, append([]string{command}, c.args...)...); code != 2 || !strings.Contains(errs, c.says) || len(w.retired(t)) != 0 {
				t.Errorf("%s %v: %d %q", command, c.args, code, errs)
			}
		}
	}
	if code, _, errs := w.run(t, "retire", "--writer", "nobody", "--dry-run"); code != 1 || !strings.Contains(errs, "no writer has worked as mover") {
		t.Errorf("a mover that never was: %d %q", code, errs)
	}
}
