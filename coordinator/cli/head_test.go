package cli_test

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ivdmover/coordinator/cli"
	"ivdmover/coordinator/heads"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// What was printed of a repository tells later whether it was brought back to an earlier
// state; so does what this host has seen of it, to whoever reads or collects. Adopting
// makes the present state count.
func TestRepoHead(t *testing.T) {
	r, folder, config := madeEncrypted(t)
	state := t.TempDir()
	config = withKeys(t, config, "passphrase_file: "+write(t, "passphrase", goodPassphrase+"\n"))
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	config = write(t, "ivd.yaml", string(text)+"\nstate_dir: "+state+"\n")
	run := func(want int, says string, args ...string) string {
		t.Helper()
		code, out, errs := do(t.Context(), cli.Extra{}, append(args, "--config", config)...)
		errs = strings.Join(slices.DeleteFunc(strings.SplitAfter(errs, "\n"), func(l string) bool { return strings.HasPrefix(l, "waiting: ") }), "") // of a command that takes long
		if code != want || want == 0 && errs != "" || want != 0 && (strings.Count(errs, "\n") != 1 || !strings.Contains(errs, says)) {
			t.Fatalf("%v: %d, %s %s", args, code, out, errs)
		}
		return out
	}
	keeper := heads.Open(state, r, "one", slog.New(slog.DiscardHandler))
	var ids []ivd.RunID
	for i := range 2 {
		began := time.Now().UTC().Add(time.Duration(i) * time.Second)
		ids = append(ids, ivd.NewRunID(began))
		if err := keeper.PutRun(t.Context(), format.Run{ID: ids[i], Kind: "backup", State: "done", Started: began, Ended: began}); err != nil {
			t.Fatal(err)
		}
	}
	if err := keeper.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if out := run(0, "", "repo", "head"); !strings.Contains(out, string(ids[1])) || strings.Contains(out, string(ids[0])) {
		t.Errorf("it prints %s", out)
	}
	printed := run(0, "", "repo", "head", "-o", "json")
	var h heads.Heads
	if err := json.Unmarshal([]byte(printed), &h); err != nil || len(h.Heads) != 1 || h.Heads[0].Sequence != 2 || h.Heads[0].Signer.IsZero() || h.Ring == 0 {
		t.Errorf("%+v, %v", h, err)
	}
	kept := write(t, "heads.json", printed)
	run(0, "", "repo", "head", "--check", kept)
	run(0, "", "repo", "info")
	run(2, "it is not what `ivd repo head", "repo", "head", "--check", config)

	if err := os.Remove(filepath.Join(folder, "runs", r.Domain().String(), string(ids[1]))); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"repo", "head", "--check", kept}, {"repo", "info"}, {"collect"}, {"collect", "--dry-run"}} {
		run(1, "ivd repo adopt", args...)
	}
	run(0, "", "repo", "adopt")
	for _, args := range [][]string{{"repo", "head", "--check", kept}, {"repo", "info"}, {"collect", "--dry-run"}} {
		run(0, "", args...)
	}
	if out := run(0, "", "repo", "head"); !strings.Contains(out, string(ids[0])) {
		t.Errorf("it prints %s", out)
	}
}

// Keys that are older than this host has seen them are not changed: what came after them
// would be undone. Nor are they adopted, unless that is said; then it is told what is lost.
func TestKeysThatWereBroughtBack(t *testing.T) {
	r, folder, config := madeEncrypted(t)
	state := t.TempDir()
	text, err := os.ReadFile(withKeys(t, config, "passphrase_file: "+write(t, "passphrase", goodPassphrase+"\n")))
	if err != nil {
		t.Fatal(err)
	}
	config = write(t, "ivd.yaml", string(text)+"\nstate_dir: "+state+"\n")
	ring := filepath.Join(folder, "keys", "ring")
	old, err := os.ReadFile(ring)
	if err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (int, string) {
		t.Helper()
		code, out, errs := do(t.Context(), cli.Extra{}, append(args, "--config", config)...)
		if code == 0 {
			return code, out
		}
		return code, errs
	}
	for range 2 {
		if code, errs := run("repo", "key", "rotate"); code != 0 {
			t.Fatal(errs)
		}
	}
	if err := heads.Open(state, r, "one", slog.New(slog.DiscardHandler)).Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ring, old, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"rotate"},
		{"remove", "first"},
		{"add", "--name", "anna", "--key-file", filepath.Join(state, "key")},
		{"export", "--backup", "--name", "two", "--output", filepath.Join(state, "export")},
		{"sheet", "--output", filepath.Join(state, "sheet")},
	} {
		code, errs := run(append([]string{"repo", "key"}, args...)...)
		if now, _ := os.ReadFile(ring); code != 1 || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "run `ivd repo adopt`") || string(now) != string(old) {
			t.Errorf("%v: %d %s", args, code, errs)
		}
	}
	if left, err := os.ReadDir(state); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
	if code, errs := run("repo", "adopt"); code != 1 || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "keys/ring is of generation 1, and generation 3 was seen") || !strings.Contains(errs, "--older-ring") {
		t.Errorf("%d %s", code, errs)
	}
	if code, errs := run("repo", "adopt", "--older-ring"); code != 0 || !strings.Contains(errs, "keys/ring was of generation 1, and this host has seen generation 3;") || !strings.Contains(errs, "ivd repo key list") {
		t.Errorf("%d %s", code, errs)
	}
	if code, errs := run("repo", "key", "rotate"); code != 0 {
		t.Error(errs)
	}
}
