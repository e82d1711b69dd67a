package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ivdmover/coordinator/cli"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
)

// A collection says what goes, what it waits for, and what it has deleted.
func TestCollect(t *testing.T) {
	r := repotest.New(t)
	d := repotest.NewDisk(ivd.Geometry{Capacity: 4 * ivd.MinChunkSize, ChunkSize: ivd.MinChunkSize})
	write := func(at int64) {
		if _, err := d.WriteAt([]byte{byte(1 + at)}, at*ivd.MinChunkSize); err != nil {
			t.Fatal(err)
		}
	}
	write(0)
	first := r.Save(d, repotest.Layout{})
	write(1)
	second := r.Save(d, repotest.Layout{})
	file := filepath.Join(t.TempDir(), "ivd.yaml")
	conf := "repository: { url: 'dir://" + r.Dir + "' }\ncollect: { min_age: 0s }\n"
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(want int, args ...string) (out, errs string) {
		t.Helper()
		code, out, errs := do(t.Context(), cli.Extra{}, append(args, "--config", file)...)
		if code != want {
			t.Fatalf("%v: exit code %d, want %d: %s%s", args, code, want, out, errs)
		}
		return out, errs
	}
	type shown struct {
		DryRun    bool          `json:"dry_run"`
		Condemned format.Counts `json:"condemned"`
		Bytes     int64         `json:"condemned_bytes"`
		Deleted   format.Counts `json:"deleted"`
		Lists     []struct {
			Waits []format.WaitedLease `json:"waits_for"`
			Done  *string              `json:"done"`
		} `json:"lists"`
		Kept []struct{ Why string } `json:"kept_points"`
	}
	collected := func(args ...string) (s shown) {
		t.Helper()
		out, _ := run(0, append([]string{"collect", "-o", "json"}, args...)...)
		if err := json.Unmarshal([]byte(out), &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	if s := collected(); s.Condemned != (format.Counts{}) || len(s.Lists) != 0 {
		t.Fatalf("nothing was given up: %+v", s)
	}
	// The last good point stays, and both others' packs with it.
	for _, p := range []ivd.PointID{first.ID, second.ID} {
		if err := r.Forget(t.Context(), format.Forgotten{Point: p, Reason: "a test"}); err != nil {
			t.Fatal(err)
		}
	}
	dry := collected("--dry-run")
	if dry.Condemned.Points != 1 || dry.Condemned.Packs == 0 || dry.Bytes == 0 || !dry.DryRun || len(dry.Kept) != 1 || !strings.Contains(dry.Kept[0].Why, "last good") {
		t.Errorf("a dry run: %+v", dry)
	}
	out, _ := run(0, "collect", "--dry-run")
	if !strings.Contains(out, "would be condemned: 1 restore points") || !strings.Contains(out, "last good point") {
		t.Errorf("a dry run says %q", out)
	}
	// A share that is too large needs a person.
	if err := os.WriteFile(file, []byte(strings.Replace(conf, "0s", "0s, max_share: 1%", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _ = run(0, "collect", "--dry-run")
	if !strings.Contains(out, "goes: "+string(first.ID)) || !strings.Contains(out, "a collection would refuse this") || !strings.Contains(out, "--max-share 100%") {
		t.Errorf("a dry run of too much says %q", out)
	}
	_, errs := run(1, "collect")
	if !strings.Contains(errs, "ivd collect --max-share 100%") {
		t.Errorf("too much: %q", errs)
	}
	// A restore that has begun is waited for.
	l := r.Lease(repo.ReadLease)
	s := collected("--max-share", "100%")
	if len(s.Lists) != 1 || len(s.Lists[0].Waits) != 1 || s.Lists[0].Waits[0].ID != l.ID || s.Deleted != (format.Counts{}) {
		t.Errorf("beside a restore: %+v", s)
	}
	out, _ = run(0, "collect", "--max-share", "100%")
	if !strings.Contains(out, "waits for\n  lease "+string(l.ID)+" of a test") {
		t.Errorf("beside a restore it says %q", out)
	}
	if err := r.EndLease(t.Context(), l.ID); err != nil {
		t.Fatal(err)
	}
	if s = collected("--max-share", "100%"); s.Deleted.Points != 1 || s.Deleted.Packs != dry.Condemned.Packs || s.Lists[0].Done == nil {
		t.Errorf("then: %+v", s)
	}
	if _, _, err := r.ReadPoint(t.Context(), first.ID); ivd.KindOf(err) != ivd.NotFound {
		t.Errorf("the point that was given up: %v", err)
	}
	needs(t, run, second)
}

// needs asks which points need the packs of a point.
func needs(t *testing.T, run func(int, ...string) (string, string), p repotest.Point) {
	t.Helper()
	out, _ := run(0, "repo", "needs", p.Pages[0].Place.Pack.String(), "-o", "json")
	var shown struct {
		Points []struct {
			ID ivd.PointID `json:"id"`
		} `json:"points"`
	}
	if err := json.Unmarshal([]byte(out), &shown); err != nil || len(shown.Points) != 1 || shown.Points[0].ID != p.ID {
		t.Errorf("needed by %q, %v", out, err)
	}
	out, _ = run(0, "repo", "needs", ivd.PackID{7}.String())
	if out != "needed by 0 restore points\n" {
		t.Errorf("a pack that nobody needs: %q", out)
	}
	run(2, "repo", "needs", "nothing")
	run(2, "repo", "needs")
}

// Where the store was found not to keep what it must, nothing is collected.
func TestCollectHeedsTheStore(t *testing.T) {
	r := repotest.New(t)
	broken := format.StoreFinding{Name: "create_once", Required: true, Outcome: format.StoreBroken, Why: "it creates twice", Lacks: "x", Remedy: "y"}
	if err := r.PutStoreVerdict(t.Context(), []format.StoreFinding{broken}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ivd.yaml")
	if err := os.WriteFile(file, []byte("repository: { url: 'dir://"+r.Dir+"' }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := do(t.Context(), cli.Extra{}, "collect", "--config", file); code != 1 || !strings.Contains(errs, "it creates twice") {
		t.Errorf("%d, %q, %q", code, out, errs)
	}
}
