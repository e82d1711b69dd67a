package architecture

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root is the module's folder.
func root(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		t.Fatalf("go list -m: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// The tests that documents name are there.
func TestDocumentsNameTests(t *testing.T) {
	known := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	for _, p := range packages(t) {
		files, err := filepath.Glob(filepath.Join(p.Dir, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			src, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range function.FindAllSubmatch(src, -1) {
				known[string(m[1])] = true
			}
		}
	}
	for document, least := range map[string]int{"statements.md": 20, "architecture.md": 12, "format.md": 2} {
		named := testName.FindAllString(read(t, document), -1)
		if len(named) < least {
			t.Errorf("docs/%s names %d tests only", document, len(named))
		}
		for _, n := range named {
			if !known[n] {
				t.Errorf("docs/%s names %s, which is not there", document, n)
			}
		}
	}
}

var testName = regexp.MustCompile(`\bTest[A-Z]\w+`)

func read(t *testing.T, document string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), "docs", document))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Every act that the world must show something for has its tests.
func TestActsHaveTests(t *testing.T) {
	_, section, found := strings.Cut(read(t, "architecture.md"), "\n### Before an act\n")
	section, _, ends := strings.Cut(section, "\n## ")
	if !found || !ends {
		t.Fatal("docs/architecture.md has no section on what must be seen before an act")
	}
	acts := 0
	for line := range strings.Lines(section) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| act |") {
			continue
		}
		acts++
		if !testName.MatchString(line) {
			t.Errorf("no test for: %s", line)
		}
	}
	if acts != 6 {
		t.Errorf("%d acts", acts)
	}
}

var link = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)

// Every file that a document links to is there.
func TestDocumentsLinkToWhatIsThere(t *testing.T) {
	top := root(t)
	documents, err := filepath.Glob(filepath.Join(top, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range append(documents, filepath.Join(top, "README.md")) {
		text, err := os.ReadFile(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(d), string(m[1]))); err != nil {
				t.Errorf("%s links to %s: %v", filepath.Base(d), m[1], err)
			}
		}
	}
}
