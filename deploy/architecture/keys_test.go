package architecture

import (
	"encoding/json"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"ivdmover/coordinator/policy"
	"ivdmover/shared/config"
)

const configPath = module + "/shared/config"

// TestEveryKeyIsReadOrRefused: each key of the configuration is read by a program, beyond
// validating it, or is refused by its name. The reference says "Not built yet" of those
// that are refused, and of no other.
func TestEveryKeyIsReadOrRefused(t *testing.T) {
	read := readFields(t)
	var look func(typ reflect.Type, path, doc string, set func(*config.Config) reflect.Value)
	look = func(typ reflect.Type, path, doc string, set func(*config.Config) reflect.Value) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			if !f.IsExported() {
				continue
			}
			key := strings.TrimPrefix(path+"."+f.Tag.Get("yaml"), ".")
			docs := doc + " " + f.Tag.Get("doc")
			value := func(c *config.Config) reflect.Value { return set(c).Field(i) }
			inner := f.Type
			if inner.Kind() == reflect.Slice && inner.Elem().Kind() == reflect.Struct {
				inner = inner.Elem()
				value = func(c *config.Config) reflect.Value { return set(c).Field(i).Index(0) }
			}
			if inner.Kind() == reflect.Struct {
				look(inner, key, docs, value)
				continue
			}
			refused := refusal(t, key, value)
			if told := strings.Contains(docs, "Not built yet."); told != refused {
				t.Errorf("%s: refused %t, and its reference says %q", key, refused, docs)
			}
			if !refused && !read[typ.Name()+"."+f.Name] {
				t.Errorf("%s: no program reads config.%s.%s, and none refuses it", key, typ.Name(), f.Name)
			}
		}
	}
	look(reflect.TypeFor[config.Config](), "", "", func(c *config.Config) reflect.Value { return reflect.ValueOf(c).Elem() })
}

// refusal reports whether a key that is set is refused as not built, by its name or that
// of what it belongs to.
func refusal(t *testing.T, key string, value func(*config.Config) reflect.Value) bool {
	t.Helper()
	c := config.Default()
	c.VCenters, c.Policies = []config.VCenter{{}}, []config.Policy{config.DefaultPolicy()}
	c.Repository.Limits.Hours = []config.LimitHours{{}}
	switch v := value(c); v.Kind() {
	case reflect.String:
		if v.Len() == 0 { // else it has a default, and is as it is
			v.SetString("/x")
		}
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Float64:
		v.SetFloat(v.Float() + 1)
	case reflect.Slice:
		v.Set(reflect.ValueOf([]string{"x"}))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	default:
		t.Fatalf("%s is a %s, which this test cannot set", key, v.Type())
	}
	for _, err := range []error{c.ValidateCoordinator(), c.ValidateMover(), policy.Check(c.Policies[0])} {
		for line := range strings.SplitSeq(message(err), "\n") {
			if strings.Contains(line, "not built yet") && names(line, key) {
				return true
			}
		}
	}
	return false
}

// names reports whether a line has a key's name, or, of a policy, that of the key which
// it belongs to.
func names(line, key string) bool {
	words := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" ,:", r) })
	inPolicy, ok := strings.CutPrefix(key, "policies.")
	if !ok {
		return slices.Contains(words, key)
	}
	outer, _, _ := strings.Cut(inPolicy, ".")
	return slices.Contains(words, inPolicy) || slices.Contains(words, outer)
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// readFields are the fields of the configuration's structs that some program's code reads,
// as "Struct.Field": not where they are validated, and not where they are set.
func readFields(t *testing.T) map[string]bool {
	t.Helper()
	exports, sources := exported(t)
	fset := token.NewFileSet()
	gc := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	read := map[string]bool{}
	for _, p := range sources {
		var files []*ast.File
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		info := &types.Info{Selections: map[*ast.SelectorExpr]*types.Selection{}}
		conf := types.Config{Importer: gc}
		if _, err := conf.Check(p.ImportPath, fset, files, info); err != nil {
			t.Fatalf("%s: %v", p.ImportPath, err)
		}
		for _, f := range files {
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && !(p.ImportPath == configPath && validates(fn)) {
					note(read, info, fn)
				}
			}
		}
	}
	return read
}

// validates reports whether a function of package config only checks values.
func validates(fn *ast.FuncDecl) bool {
	if strings.HasPrefix(fn.Name.Name, "Validate") {
		return true
	}
	if fn.Recv == nil {
		return false
	}
	star, ok := fn.Recv.List[0].Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	id, ok := star.X.(*ast.Ident)
	return ok && id.Name == "validator"
}

// note adds the fields that a function reads.
func note(read map[string]bool, info *types.Info, fn *ast.FuncDecl) {
	set := map[ast.Expr]bool{}
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, left := range n.Lhs {
				set[left] = true
			}
		case *ast.SelectorExpr:
			s := info.Selections[n]
			if s == nil || s.Kind() != types.FieldVal || set[n] {
				break
			}
			from := s.Recv()
			if p, ok := from.(*types.Pointer); ok {
				from = p.Elem()
			}
			if named, ok := from.(*types.Named); ok && named.Obj().Pkg() != nil && named.Obj().Pkg().Path() == configPath {
				read[named.Obj().Name()+"."+n.Sel.Name] = true
			}
		}
		return true
	})
}

// exported is where the compiler's summary of each package lies, and the packages of the
// programs that know the configuration.
func exported(t *testing.T) (exports map[string]string, sources []pkg) {
	t.Helper()
	out, err := exec.Command("go", "list", "-export", "-deps", "-json=Dir,ImportPath,GoFiles,CgoFiles,Imports,Export", module+"/coordinator", module+"/mover").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	exports = map[string]string{}
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var p struct {
			pkg
			Export string
		}
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		exports[p.ImportPath] = p.Export
		if p.ImportPath == configPath || slices.Contains(p.Imports, configPath) && len(p.CgoFiles) == 0 {
			sources = append(sources, p.pkg)
		}
	}
	return exports, sources
}
