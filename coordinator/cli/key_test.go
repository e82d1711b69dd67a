package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ivdmover/coordinator/cli"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/keys"
	"ivdmover/shared/repo"
	storedir "ivdmover/shared/store/dir"
)

// keyHouse is an encrypted repository, and files to go with it.
type keyHouse struct {
	t              *testing.T
	folder, config string
	passphrase     string // a file
	dir            string
}

func newKeyHouse(t *testing.T) keyHouse {
	t.Helper()
	_, folder, config := madeEncrypted(t)
	return keyHouse{t, folder, config, write(t, "passphrase", goodPassphrase+"\n"), t.TempDir()}
}

// run runs `ivd repo key` with a file of what opens the repository; empty: none.
func (h keyHouse) run(by string, args ...string) (code int, out, errs string) {
	h.t.Helper()
	args = append(append([]string{"repo", "key"}, args...), "--config", h.config)
	if by != "" {
		args = append(args, "--passphrase-file", by)
	}
	return do(h.t.Context(), cli.Extra{}, args...)
}

// good runs a command that must end well, and returns what it prints.
func (h keyHouse) good(by string, args ...string) string {
	h.t.Helper()
	code, out, errs := h.run(by, args...)
	if code != 0 || errs != "" {
		h.t.Fatalf("%v: %d %q %q", args, code, out, errs)
	}
	return out
}

// refused runs a command that must end with a code and one line that says something.
func (h keyHouse) refused(want int, says, by string, args ...string) {
	h.t.Helper()
	code, out, errs := h.run(by, args...)
	if code != want || out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, says) || strings.Contains(errs, "velvet") {
		h.t.Errorf("%v: %d %q %q, want %d and %q", args, code, out, errs, want, says)
	}
}

// open opens the repository.
func (h keyHouse) open(k repo.Keys) (*repo.Repository, error) {
	h.t.Helper()
	st, err := storedir.Open(h.folder)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = st.Close() })
	return repo.OpenWith(h.t.Context(), st, k)
}

// secretFileOf reads a file that only this user may read.
func secretFileOf(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("%s has mode %s", path, info.Mode())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

type listedKeys struct {
	Root  string `json:"root"`
	Slots []struct {
		Number  int          `json:"number"`
		Kind    string       `json:"kind"`
		Name    string       `json:"name"`
		Argon2  *struct{}    `json:"argon2"`
		Failure *ivd.Failure `json:"failure"`
	} `json:"slots"`
	Signers []struct {
		ID      string   `json:"id"`
		Name    string   `json:"name"`
		Roles   []string `json:"roles"`
		Removed *string  `json:"removed"`
	} `json:"signers"`
	DataKeys []struct {
		ID string `json:"id"`
	} `json:"data_keys"`
}

func (h keyHouse) list() (l listedKeys) {
	h.t.Helper()
	if err := json.Unmarshal([]byte(h.good("", "list", "-o", "json")), &l); err != nil {
		h.t.Fatal(err)
	}
	return l
}

// A key file opens the repository, this one alone, and what opened it before is removed
// by its name; the last one that opens never is.
func TestKeyFiles(t *testing.T) {
	h := newKeyHouse(t)
	file := filepath.Join(h.dir, "estate.key")
	out := h.good(h.passphrase, "add", "--name", "restore-host", "--key-file", file, "-o", "json")
	if !strings.Contains(out, `"slot": 2`) || !strings.Contains(out, `"kind": "key_file"`) {
		t.Errorf("added: %s", out)
	}
	if _, err := h.open(repo.Keys{Passphrase: ivd.Secret(secretFileOf(t, file))}); err != nil {
		t.Error(err)
	}
	h.refused(1, "is there already", h.passphrase, "add", "--name", "again", "--key-file", file)
	h.refused(1, `slot 2 has the name "restore-host"`, h.passphrase, "add", "--name", "restore-host", "--key-file", file+"2")
	if _, err := os.Stat(file + "2"); err == nil {
		t.Error("a file is left that opens nothing")
	}
	h.refused(1, "that was just opened", file, "remove", "restore-host")
	h.refused(1, "was just opened", h.passphrase, "remove", "1")
	h.refused(1, "no slot and no signer", file, "remove", "nobody")
	if out := h.good(file, "remove", "first"); !strings.Contains(out, "removed slot 1") || !strings.Contains(out, "is not revoked") {
		t.Errorf("removed: %s", out)
	}
	h.refused(1, "no slot below keys/ opens with this passphrase; give what opens one of the slots", h.passphrase, "rotate")
	if l := h.list(); len(l.Slots) != 1 || l.Slots[0].Number != 2 || l.Slots[0].Argon2 != nil || len(l.DataKeys) != 1 {
		t.Errorf("%+v", l)
	}
	other := newKeyHouse(t)
	other.refused(1, "the key is of repository", file, "rotate")
	if out := h.good(file, "rotate"); !strings.Contains(out, h.list().DataKeys[1].ID) {
		t.Errorf("rotated: %s", out)
	}
	keyed := withKeys(t, h.config, "passphrase_file: "+file)
	if code, _, errs := do(t.Context(), cli.Extra{}, "repo", "info", "--config", keyed); code != 0 {
		t.Errorf("the configuration names a key file: %d %s", code, errs)
	}
}

// A coordinator's export opens the repository for backups until its signer is removed.
func TestKeyExport(t *testing.T) {
	h := newKeyHouse(t)
	file := filepath.Join(h.dir, "two.key")
	h.good(h.passphrase, "export", "--backup", "--name", "coordinator-2", "--output", file)
	h.refused(1, "is there already", h.passphrase, "export", "--backup", "--name", "coordinator-3", "--output", file)
	h.refused(1, `has the name "coordinator-2"`, h.passphrase, "export", "--backup", "--name", "coordinator-2", "--output", file+"2")
	h.refused(2, "more than one line", file, "rotate")
	e, err := keys.DecodeExport([]byte(secretFileOf(t, file)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.open(repo.Keys{Export: &e}); err != nil {
		t.Error(err)
	}
	l := h.list()
	if len(l.Signers) != 2 || l.Signers[1].Name != "coordinator-2" || !slices.Equal(l.Signers[1].Roles, []string{"commit"}) || l.Signers[1].Removed != nil || l.Signers[1].ID != e.Signer.ID.String() {
		t.Errorf("%+v", l.Signers)
	}
	h.refused(1, "is the only one with role", h.passphrase, "remove", l.Signers[0].ID)
	if out := h.good(h.passphrase, "remove", l.Signers[1].ID[:8]); !strings.Contains(out, "what it has signed stays valid") {
		t.Errorf("removed: %s", out)
	}
	if _, err := h.open(repo.Keys{Export: &e}); ivd.KindOf(err) != ivd.Denied {
		t.Errorf("the removed one opens it: %v", err)
	}
	if l := h.list(); l.Signers[1].Removed == nil {
		t.Errorf("%+v", l.Signers)
	}
	h.good(h.passphrase, "export", "--backup", "--name", "coordinator-2", "--output", file+"2")
}

// typedLines are the lines of a sheet as a person types them.
func typedLines(sheet string) string {
	return strings.ToLower(strings.Join(regexp.MustCompile(`(?:[0-9A-Z]{4}-){3}[0-9A-Z]{4}\b`).FindAllString(sheet, 4), " "))
}

// A recovery sheet opens the repository when the passphrase is lost: its lines are typed
// where the passphrase is asked for, and a new passphrase is given to it.
func TestRecoverySheet(t *testing.T) {
	h := newKeyHouse(t)
	r, err := h.open(repo.Keys{Passphrase: goodPassphrase})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.PutRun(t.Context(), format.Run{ID: "20261130t220000z-1a2b3c4d", Kind: "backup", State: "done", Coordinator: "this-one", Sequence: 1}); err != nil {
		t.Fatal(err)
	}
	sheet := h.good(h.passphrase, "sheet")
	if !strings.Contains(sheet, "record 1 of coordinator this-one,") || !strings.Contains(sheet, "run 20261130t220000z-1a2b3c4d, Sum ") || !strings.Contains(sheet, "repo.json 1, keys/ring 1") {
		t.Errorf("the sheet tells no head: %s", sheet)
	}
	if l := h.list(); !strings.Contains(sheet, l.Root) || len(l.Slots) != 2 || !strings.HasPrefix(l.Slots[1].Name, "recovery sheet 2") {
		t.Errorf("%+v", l.Slots)
	}
	if !strings.Contains(sheet, "dir://"+h.folder) || !strings.Contains(sheet, "█") {
		t.Errorf("the sheet: %s", sheet)
	}
	page := filepath.Join(h.dir, "sheet.html")
	h.good(h.passphrase, "sheet", "--output", page)
	if text := secretFileOf(t, page); !strings.Contains(text, "<svg") || typedLines(text) == typedLines(sheet) {
		t.Error("the page is not a sheet of its own")
	} else if _, err := h.open(repo.Keys{Passphrase: ivd.Secret(typedLines(text))}); err != nil {
		t.Error(err)
	}
	plain := filepath.Join(h.dir, "sheet.txt")
	h.good(h.passphrase, "sheet", "--name", "safe", "--output", plain)
	if _, err := h.open(repo.Keys{Passphrase: ivd.Secret(typedLines(secretFileOf(t, plain)))}); err != nil {
		t.Error(err)
	}

	lines := typedLines(sheet)
	term, out, finish := onTerminal(t, "repo", "key", "add", "--name", "anna", "--config", h.config)
	answer(term, "Passphrase of the repository: ", lines)
	answer(term, "New passphrase of the repository: ", "another orbit of thirteen mangos")
	answer(term, "The same again: ", "another orbit of thirteen mangos")
	if code := finish(); code != 0 || !strings.Contains(out.String(), "added slot 5 (anna)") || strings.Contains(term.Screen(), "mangos") {
		t.Fatalf("%d %s\n%s", code, out, term.Screen())
	}
	if _, err := h.open(repo.Keys{Passphrase: "another orbit of thirteen mangos"}); err != nil {
		t.Error(err)
	}
	wrong := strings.Replace(lines, lines[:1], map[bool]string{true: "b", false: "a"}[lines[0] == 'a'], 1)
	h.refused(1, "if it is the secret of a recovery sheet, it is mistyped in line 1", write(t, "typed", wrong+"\n"), "rotate")
}

// Without a terminal what opens the repository has to be named; what cannot be read is
// named, too.
func TestKeysWithoutATerminal(t *testing.T) {
	h := newKeyHouse(t)
	h.refused(2, "give --passphrase-file, or set repository.passphrase_file", "", "rotate")
	h.refused(2, "give --new-passphrase-file, or --key-file", h.passphrase, "add", "--name", "anna")
	h.refused(2, "choose another one", h.passphrase, "add", "--name", "anna", "--new-passphrase-file", write(t, "json", `{"ivd_key_file":1}`))
	h.refused(2, "want one that is no number", h.passphrase, "add", "--name", "7", "--new-passphrase-file", h.passphrase)
	if err := os.WriteFile(filepath.Join(h.folder, "keys", "slot-2"), []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := h.run("", "list")
	if code != 3 || !strings.Contains(errs, "ivd: the list lacks keys/slot-2: ") || !strings.Contains(out, "first") || !strings.Contains(out, "keys/slot-2: ") {
		t.Errorf("%d %q\n%s", code, errs, out)
	}
	h.good(h.passphrase, "remove", "2")
	plain, config := emptyPlace(t)
	h.folder, h.config = plain, config
	if code, _, errs := do(t.Context(), cli.Extra{}, "repo", "init", "--plain", "--config", config); code != 0 {
		t.Fatal(errs)
	}
	h.refused(1, "is not encrypted: it has no keys", "", "list")
	h.refused(1, "the repository is plain, and keys are given for it", h.passphrase, "rotate")
}
