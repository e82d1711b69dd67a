package architecture

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"testing"
)

// reportClock fails for every use of the clock in a file of a pure room.
func reportClock(t *testing.T, room, file, path string) {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "Tick", "NewTimer", "NewTicker"}, sel.Sel.Name) {
			t.Errorf("%s: %s reads the clock (time.%s)", room, file, sel.Sel.Name)
		}
		return true
	})
}
