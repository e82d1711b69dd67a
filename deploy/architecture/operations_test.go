package architecture

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// printed is a text that docs/operations.md says the programs print.
var printed = regexp.MustCompile(`(^|[^*])\*([^*]+)\*([^*]|$)`)

// What docs/operations.md says that the programs print, they print: each text is found in
// their source, where numbers and names stand for what is filled in.
func TestOperationsQuoteWhatIsPrinted(t *testing.T) {
	var all strings.Builder
	for _, p := range packages(t) {
		for _, file := range append(p.GoFiles, p.CgoFiles...) {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					if text, err := strconv.Unquote(lit.Value); err == nil {
						all.WriteString(filled.ReplaceAllString(text, "?") + "\n")
					}
				}
				return true
			})
		}
	}
	quotes := 0
	for line := range strings.Lines(read(t, "operations.md")) {
		for _, m := range printed.FindAllStringSubmatch(line, -1) {
			quotes++
			if text := standsFor.ReplaceAllString(strings.TrimRight(m[2], ":"), "?"); !strings.Contains(all.String(), text) {
				t.Errorf("docs/operations.md says that %q is printed, and the source has no %q", m[2], text)
			}
		}
	}
	if quotes < 50 {
		t.Errorf("only %d texts are quoted", quotes)
	}
}

// What a program fills in, and what stands for it in the document.
var (
	filled    = regexp.MustCompile(`%[a-z]`)
	standsFor = regexp.MustCompile(`\b(?:N|NAME)\b`)
)
