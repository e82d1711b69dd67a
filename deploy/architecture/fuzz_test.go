package architecture

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What others may have written is read by functions of these rooms that are called so.
var (
	decodingRooms = []string{"shared/format", "shared/keys", "shared/ivd", "coordinator/plan", "coordinator/schedule"}
	decoderName   = regexp.MustCompile(`^(Decode|Read|Open|Parse|Unprotect)([A-Z]|$)`)
)

// TestEveryDecoderIsFuzzed: each exported function that reads bytes or text of others' is
// called by a fuzz target, directly or through what its tests share.
func TestEveryDecoderIsFuzzed(t *testing.T) {
	fuzzed := map[string]bool{}
	for _, room := range decodingRooms {
		for name := range calledByFuzzTargets(t, room) {
			fuzzed[name] = true
		}
	}
	seen := 0
	for _, room := range decodingRooms {
		for _, f := range parseRoom(t, room, false) {
			for _, d := range f.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok || fn.Recv != nil || !decoderName.MatchString(fn.Name.Name) || !takesText(fn) {
					continue
				}
				seen++
				if name := path.Base(room) + "." + fn.Name.Name; !fuzzed[name] {
					t.Errorf("no fuzz target of %s calls %s", strings.Join(decodingRooms, ", "), name)
				}
			}
		}
	}
	if seen < 30 {
		t.Errorf("only %d decoders were found", seen)
	}
}

// parseRoom parses the files of a folder: its tests, or all others.
func parseRoom(t *testing.T, room string, tests bool) (files []*ast.File) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("..", "..", room, "*.go"))
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %v, %v", room, names, err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") != tests {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// takesText reports whether a function takes bytes or text.
func takesText(fn *ast.FuncDecl) bool {
	for _, p := range fn.Type.Params.List {
		switch x := p.Type.(type) {
		case *ast.ArrayType:
			if id, ok := x.Elt.(*ast.Ident); ok && id.Name == "byte" && x.Len == nil {
				return true
			}
		case *ast.Ident:
			if x.Name == "string" {
				return true
			}
		case *ast.SelectorExpr:
			if x.Sel.Name == "Secret" {
				return true
			}
		}
	}
	return false
}

// calledByFuzzTargets are the functions, each as package.Name, that the fuzz targets of a
// room name, with what the functions name that they share with other tests.
func calledByFuzzTargets(t *testing.T, room string) map[string]bool {
	t.Helper()
	names := map[string]map[string]bool{} // by function of the tests
	for _, f := range parseRoom(t, room, true) {
		inside := !strings.HasSuffix(f.Name.Name, "_test")
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv != nil {
				continue
			}
			of := map[string]bool{}
			names[fn.Name.Name] = of
			ast.Inspect(fn, func(n ast.Node) bool {
				switch x := n.(type) {
				case *ast.SelectorExpr:
					if id, ok := x.X.(*ast.Ident); ok {
						of[id.Name+"."+x.Sel.Name] = true
					}
				case *ast.Ident:
					of[x.Name] = true
					if inside {
						of[path.Base(room)+"."+x.Name] = true
					}
				}
				return true
			})
		}
	}
	all := map[string]bool{}
	var follow func(name string)
	follow = func(name string) {
		for n := range names[name] {
			if !all[n] {
				all[n] = true
				follow(n)
			}
		}
	}
	for name := range names {
		if strings.HasPrefix(name, "Fuzz") {
			follow(name)
		}
	}
	return all
}
