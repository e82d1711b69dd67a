package architecture

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"ivdmover/coordinator/cli"
)

// named is a command that a text tells people to use: "`ivd run show …".
var named = regexp.MustCompile("`(ivd|ivd-mover) ([a-z][^`]*)")

// Remedies, and whatever else the programs and the documents say, name only commands
// that exist, with flags that they have.
func TestNamedCommandsExist(t *testing.T) {
	top, commands := root(t), map[string]*cobra.Command{"ivd": cli.Root(cli.Extra{}), "ivd-mover": moverCommands(t)}
	seen := map[string]int{}
	look := func(where, text string) {
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			seen[m[1]]++
			if why := unknown(commands[m[1]], strings.Fields(m[2])); why != "" {
				t.Errorf("%s names `%s %s`: %s", where, m[1], m[2], why)
			}
		}
	}
	for _, p := range packages(t) {
		for _, file := range append(p.GoFiles, p.CgoFiles...) {
			path := filepath.Join(p.Dir, file)
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					if text, err := strconv.Unquote(lit.Value); err == nil {
						look(p.rel()+"/"+file, text)
					}
				}
				return true
			})
		}
	}
	documents, err := filepath.Glob(filepath.Join(top, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range append(documents, filepath.Join(top, "README.md"), filepath.Join(top, "CHANGELOG.md")) {
		text, err := os.ReadFile(d)
		if err != nil {
			t.Fatal(err)
		}
		look(filepath.Base(d), strings.ReplaceAll(string(text), "```", ""))
	}
	if seen["ivd"] < 50 || seen["ivd-mover"] < 3 {
		t.Errorf("found only %v", seen)
	}
}

// unknown says what of a command's words is not there: a subcommand, or a flag.
func unknown(c *cobra.Command, words []string) string {
	for first := true; len(words) > 0 && c.HasSubCommands(); first = false {
		i := -1
		for n, sub := range c.Commands() {
			if sub.Name() == strings.Trim(words[0], ".,;:") {
				i = n
			}
		}
		if i < 0 && (first || !isArgument(words[0])) {
			return "there is no such command"
		}
		if i < 0 {
			break
		}
		c, words = c.Commands()[i], words[1:]
	}
	for _, w := range words {
		flag, isFlag := strings.CutPrefix(w, "--")
		flag, _, _ = strings.Cut(strings.Trim(flag, ".,;:]"), "=")
		if isFlag && flag != "help" && c.Flags().Lookup(flag) == nil && c.InheritedFlags().Lookup(flag) == nil {
			return "it has no flag --" + flag
		}
	}
	return ""
}

// isArgument reports whether a word stands for something: "POINT", "%s", "--config".
func isArgument(w string) bool { return !regexp.MustCompile(`^[a-z][a-z-]*$`).MatchString(w) }

// moverCommands reads what ivd-mover has from its source, which is a program.
func moverCommands(t *testing.T) *cobra.Command {
	t.Helper()
	all := &cobra.Command{Use: "ivd-mover"}
	doctor, check := &cobra.Command{Use: "doctor"}, &cobra.Command{Use: "check"}
	all.AddCommand(doctor, check)
	files, err := filepath.Glob(filepath.Join(root(t), "mover", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	use := regexp.MustCompile(`Use: +"([a-z]+)`)
	flag := regexp.MustCompile(`(?:Var|VarP|String|Bool)\(&?[\w.]+, "([a-z-]+)"`)
	found := map[string]bool{}
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range use.FindAllSubmatch(src, -1) {
			found[string(m[1])] = true
		}
		for _, m := range flag.FindAllSubmatch(src, -1) {
			for _, c := range []*cobra.Command{all, doctor, check} {
				if c.Flags().Lookup(string(m[1])) == nil {
					c.Flags().String(string(m[1]), "", "")
				}
			}
		}
	}
	for _, c := range all.Commands() {
		if !found[c.Name()] {
			t.Fatalf("ivd-mover has no command %s", c.Name())
		}
	}
	return all
}
