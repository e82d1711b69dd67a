package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ivdmover/coordinator/cli"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/dir"
)

// A person may say that a pack is damaged; that it is not is looked at.
func TestRetire(t *testing.T) {
	folder := t.TempDir()
	st, err := dir.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	r, err := repo.Init(t.Context(), st, repo.InitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "ivd.yaml")
	if err := os.WriteFile(config, []byte("repository: { url: 'dir://"+folder+"' }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	pack := ivd.PackID{0xab, 1}
	run := func(args ...string) (int, string, string) {
		return do(t.Context(), cli.Extra{}, append([]string{"repo"}, append(args, "--config", config)...)...)
	}
	retired := func() bool {
		t.Helper()
		x, err := r.Retired(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return x.Pack(pack)
	}
	for _, c := range []struct {
		args    []string
		code    int
		says    string
		retired bool
	}{
		{[]string{"retire", pack.String()}, 2, "--reason", false},
		{[]string{"retire", "--reason", "x"}, 2, "", false},
		{[]string{"retire", "--reason", "x", "nothing"}, 2, "ivd points -o json", false},
		{[]string{"retire", "--reason", "disk 7 is lost", "data/d/ab/" + pack.String()}, 0, "", true},
		{[]string{"unretire", "--reason", "x", pack.String()}, 1, "is missing", true},
	} {
		code, out, errs := run(c.args...)
		if code != c.code || !strings.Contains(errs, c.says) || retired() != c.retired {
			t.Errorf("%v: exit code %d, %q %q; retired %t", c.args, code, out, errs, retired())
		}
	}
	code, out, _ := run("retire", "--reason", "again", pack.String(), "-o", "json")
	var shown struct {
		Packs  []ivd.PackID `json:"packs"`
		Reason string       `json:"reason"`
	}
	if err := json.Unmarshal([]byte(out), &shown); code != 0 || err != nil || len(shown.Packs) != 1 || shown.Packs[0] != pack || shown.Reason != "again" {
		t.Errorf("as JSON: %d %q, %v", code, out, err)
	}
}
