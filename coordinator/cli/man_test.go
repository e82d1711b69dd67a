package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ivdmover/coordinator/cli"
)

// pages writes the manual pages and returns them by their file's name.
func pages(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	if code, _, errs := do(t.Context(), cli.Extra{}, "man", dir); code != 0 {
		t.Fatal(errs)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	pages := map[string]string{}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		pages[f.Name()] = string(text)
	}
	return pages
}

// plain is what a page says, without fonts and requests, each space a single one.
func plain(page string) string {
	var lines []string
	for line := range strings.SplitSeq(page, "\n") {
		if !strings.HasPrefix(line, ".") || strings.HasPrefix(line, ".SH") || strings.HasPrefix(line, ".TH") {
			lines = append(lines, line)
		}
	}
	text := strings.NewReplacer(`\fB`, "", `\fP`, "", `\fR`, "", `\-`, "-", `\&`, "", `\\`, `\`).Replace(strings.Join(lines, " "))
	return spaced(text)
}

func spaced(s string) string { return strings.Join(strings.Fields(s), " ") }

// Every command has its manual page, with all that its help says: nothing of it is
// lost as markup.
func TestManualPages(t *testing.T) {
	pages := pages(t)
	seen := 0
	eachCommand(cli.Root(cli.Extra{}), func(c *cobra.Command) {
		seen++
		name := strings.ReplaceAll(c.CommandPath(), " ", "-")
		page := plain(pages[name+".1"])
		want := []string{
			`.TH "` + strings.ToUpper(name) + `" "1"`, ".SH NAME " + name + " - " + spaced(c.Short), ".SH SYNOPSIS " + c.UseLine(),
			".SH DESCRIPTION", spaced(c.Long), ".SH EXAMPLE " + spaced(c.Example),
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			_, usage := pflag.UnquoteUsage(f)
			want = append(want, "--"+f.Name, spaced(usage))
		})
		if c.HasParent() {
			want = append(want, strings.ReplaceAll(c.Parent().CommandPath(), " ", "-")+"(1)")
		}
		for _, sub := range c.Commands() {
			want = append(want, name+"-"+sub.Name()+"(1)")
		}
		for _, w := range want {
			if !strings.Contains(page, w) {
				t.Errorf("%s: its page has no %q:\n%s", c.CommandPath(), w, page)
			}
		}
	})
	if len(pages) != seen {
		t.Errorf("%d pages for %d commands", len(pages), seen)
	}
	for _, want := range []string{"Exit codes: 0 done, 1 failed, 2 wrong command line or configuration, 3 done in part: some", "/etc/ivd/ivd.yaml"} {
		if !strings.Contains(plain(pages["ivd.1"]), want) {
			t.Errorf("ivd.1 has no %q", want)
		}
	}
}

// The same program writes the same pages, whatever the day and whoever asks.
func TestManualPagesAreReproducible(t *testing.T) {
	first := pages(t)
	t.Setenv("SOURCE_DATE_EPOCH", "1234567890")
	again := pages(t)
	for name, page := range first {
		if again[name] != page {
			t.Errorf("%s differs:\n%s\n%s", name, page, again[name])
		}
		// A test's binary knows no revision, so its date is the fixed one.
		if !strings.Contains(page, `"Jan 1970" "ivdmover"`) || strings.Contains(page, "Auto generated") {
			t.Errorf("%s: %s", name, page)
		}
	}
}
