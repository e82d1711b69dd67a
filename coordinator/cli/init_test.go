package cli_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/cli/termtest"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	storedir "ivdmover/shared/store/dir"
)

const goodPassphrase = "orbit velvet mango thirteen"

// emptyPlace is a configuration whose repository is to be made in an empty folder.
func emptyPlace(t *testing.T) (folder, config string) {
	t.Helper()
	folder = t.TempDir()
	return folder, write(t, "ivd.yaml", fmt.Sprintf("repository: { url: \"dir://%s\" }\n", folder))
}

// opens fails unless the repository of a folder opens with a passphrase.
func opens(t *testing.T, folder string, passphrase ivd.Secret) *repo.Repository {
	t.Helper()
	st, err := storedir.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	r, err := repo.OpenWith(t.Context(), st, repo.Keys{Passphrase: passphrase})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A new user types two lines that nobody sees, and has an encrypted repository.
func TestInitAsksForAPassphrase(t *testing.T) {
	folder, config := emptyPlace(t)
	term, out, finish := onTerminal(t, "repo", "init", "--config", config)
	answer(term, "New passphrase of the repository: ", goodPassphrase)
	answer(term, "The same again: ", goodPassphrase)
	if code := finish(); code != 0 {
		t.Fatalf("exit code %d: %s", code, term.Screen())
	}
	if strings.Contains(term.Screen(), "velvet") || strings.Contains(term.Screen(), "weak") {
		t.Errorf("the terminal shows %q", term.Screen())
	}
	root := opens(t, folder, goodPassphrase).Info().Root
	for _, want := range []string{", encrypted\n", "root key  " + root.String() + "\n", "repository.root", "repository.passphrase_file"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
}

// What a person types may be wrong: then nothing is made.
func TestInitRefusesWhatIsTyped(t *testing.T) {
	for name, c := range map[string]struct {
		lines []string
		says  string
	}{
		"nothing":       {[]string{""}, "ivd: the passphrase is empty; run the command again"},
		"end of file":   {[]string{"\x04"}, "ivd: no passphrase was given: EOF; run the command again"},
		"two that vary": {[]string{"short", "shorter"}, "ivd: the two passphrases differ; run the command again"},
	} {
		t.Run(name, func(t *testing.T) {
			folder, config := emptyPlace(t)
			term, out, finish := onTerminal(t, "repo", "init", "--config", config)
			for i, line := range c.lines {
				answer(term, []string{"New passphrase of the repository: ", "The same again: "}[i], line)
			}
			if code := finish(); code != 2 || out.Len() > 0 || !strings.Contains(term.Screen(), c.says) {
				t.Errorf("exit code %d, out %q, and the terminal shows %q", code, out, term.Screen())
			}
			if weak := strings.Contains(term.Screen(), "this passphrase is weak"); weak != (len(c.lines) == 2) {
				t.Errorf("of a weak one the terminal shows %q", term.Screen())
			}
			isEmpty(t, folder)
		})
	}
}

// Ctrl-C at the prompt leaves a terminal that shows what is typed.
func TestCtrlCAtThePrompt(t *testing.T) {
	folder, config := emptyPlace(t)
	term, _, finish := onTerminal(t, "repo", "init", "--config", config)
	term.Await("prompt", func(s string) bool { return strings.Contains(s, "New passphrase") })
	if echoes(t, term) {
		t.Error("the terminal shows what is typed at the prompt")
	}
	term.Type("\x03")
	term.Await("message", func(s string) bool { return strings.Contains(s, "ivd: interrupted") })
	if !echoes(t, term) {
		t.Error("the terminal no longer shows what is typed")
	}
	if code := finish(); code != 1 {
		t.Errorf("exit code %d", code)
	}
	isEmpty(t, folder)
}

// echoes reports whether a terminal shows what is typed.
func echoes(t *testing.T, term *termtest.Terminal) bool {
	t.Helper()
	s, err := unix.IoctlGetTermios(int(term.File.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return s.Lflag&unix.ECHO != 0
}

// answer waits for a prompt and types a line.
func answer(term *termtest.Terminal, prompt, line string) {
	term.Await(prompt, func(s string) bool { return strings.Contains(s, strings.TrimSpace(prompt)) })
	if line != "\x04" {
		line += "\n"
	}
	term.Type(line)
}

// isEmpty fails if there is a part of a repository.
func isEmpty(t *testing.T, folder string) {
	t.Helper()
	for _, name := range []string{"repo.json", "keys"} {
		if _, err := os.Stat(filepath.Join(folder, name)); err == nil {
			t.Errorf("%s is there", name)
		}
	}
}

// A passphrase comes from the file that the flag names, or else the configuration.
func TestInitReadsAPassphrase(t *testing.T) {
	flag, configured := write(t, "flag", goodPassphrase+"\n"), write(t, "configured", "hunter2\n")
	folder, config := emptyPlace(t)
	code, out, errs := ivdBinary(t, "repo", "init", "--config", withKeys(t, config, "passphrase_file: "+configured), "--passphrase-file", flag, "-o", "json")
	var info api.Repository
	if err := json.Unmarshal([]byte(out), &info); code != 0 || errs != "" || err != nil {
		t.Fatalf("%d %s %s: %v", code, out, errs, err)
	}
	if r := opens(t, folder, goodPassphrase); r.Info().Root != info.Root || info.Root.IsZero() || info.Cipher != "aes-256-gcm" {
		t.Errorf("%+v", info)
	}
	code, out, errs = ivdBinary(t, "repo", "init", "--config", config, "--passphrase-file", flag)
	if code != 1 || out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "there is one already") {
		t.Errorf("again: %d %s %s", code, out, errs)
	}
	_, config = emptyPlace(t)
	code, out, errs = ivdBinary(t, "repo", "init", "--config", withKeys(t, config, "passphrase_file: "+configured))
	if code != 0 || !strings.Contains(out, ", encrypted\n") || strings.Count(errs, "\n") != 1 || !strings.HasPrefix(errs, "ivd: this passphrase is weak") || strings.Contains(errs+out, "hunter2") {
		t.Errorf("of the configuration: %d %s %s", code, out, errs)
	}
}

// Keys of another repository are no passphrase: the new one would not open with them.
func TestInitTakesNoKeysForAPassphrase(t *testing.T) {
	for _, text := range []string{`{"ivd_backup_key": 1}`, `{"ivd_key_file": 1}`} {
		folder, config := emptyPlace(t)
		code, out, errs := ivdBinary(t, "repo", "init", "--config", config, "--passphrase-file", write(t, "keys", text))
		if code != 2 || out != "" || !strings.Contains(errs, "is keys of another repository; choose a passphrase") {
			t.Errorf("%s: %d %s %s", text, code, out, errs)
		}
		isEmpty(t, folder)
	}
}

// withKeys is a configuration with more keys of its repository.
func withKeys(t *testing.T, config, keys string) string {
	t.Helper()
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, "ivd.yaml", strings.Replace(string(text), " }\n", ", "+keys+" }\n", 1))
}

// madeEncrypted is a place with an encrypted repository whose passphrase costs little.
func madeEncrypted(t *testing.T) (r *repo.Repository, folder, config string) {
	t.Helper()
	folder, config = emptyPlace(t)
	st, err := storedir.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	r, err = repo.Init(t.Context(), st, repo.InitOptions{Passphrase: goodPassphrase, Argon2: format.Argon2{Time: 1, Memory: 8 << 10, Threads: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return r, folder, config
}

// Commands open an encrypted repository with what the configuration names, or ask.
func TestCommandsOpenAnEncryptedRepository(t *testing.T) {
	r, _, config := madeEncrypted(t)
	keyed := withKeys(t, config, "passphrase_file: "+write(t, "passphrase", goodPassphrase+"\n"))
	code, out, errs := ivdBinary(t, "repo", "info", "--config", keyed)
	if code != 0 || errs != "" || !strings.Contains(out, "root key     "+r.Info().Root.String()+"\n") {
		t.Errorf("info: %d %s %s", code, out, errs)
	}
	for _, args := range [][]string{{"info"}, {"adopt"}, {"retire", "--reason", "x", noPack}, {"unretire", "--reason", "x", noPack}} {
		code, out, errs := ivdBinary(t, append(append([]string{"repo"}, args...), "--config", config)...)
		if code != 1 || out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "it is encrypted; set repository.passphrase_file") {
			t.Errorf("%v without keys: %d %s %s", args, code, out, errs)
		}
	}
	if code, out, errs := ivdBinary(t, "repo", "adopt", "--config", keyed); code != 0 || errs != "" || !strings.Contains(out, "generation 2") {
		t.Errorf("adopt: %d %s %s", code, out, errs)
	}
	term, shown, finish := onTerminal(t, "repo", "info", "--config", config)
	answer(term, "Passphrase of the repository: ", goodPassphrase)
	if code := finish(); code != 0 || !strings.Contains(shown.String(), "root key") || strings.Contains(term.Screen(), "velvet") {
		t.Errorf("on a terminal: %d %s %s", code, shown, term.Screen())
	}
	term, shown, finish = onTerminal(t, "repo", "info", "--config", config)
	answer(term, "Passphrase of the repository: ", "something else")
	if code := finish(); code != 1 || shown.Len() > 0 || !strings.Contains(unwrapped(term.Screen()), unwrapped("opens with this passphrase")) {
		t.Errorf("another passphrase: %d %s %s", code, shown, term.Screen())
	}
}
