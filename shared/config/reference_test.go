package config_test

import (
	"reflect"
	"strings"
	"testing"

	"ivdmover/shared/config"
)

func TestReferenceLoads(t *testing.T) {
	text := config.Reference()
	c, err := config.Parse("reference", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if err := c.ValidateCoordinator(); err != nil {
		t.Error(err)
	}
	if c.Mover.Memory != config.Default().Mover.Memory || c.VCenters[0].Limits != parse(t, "vcenters: [{}]").VCenters[0].Limits {
		t.Errorf("values that are not the defaults: %+v", c)
	}
	if c.Policies[0].Keep != (config.Keep{}) || !strings.Contains(text, "\n      #   daily: 0\n") {
		t.Errorf("who copies the reference forgets by %+v", c.Policies[0].Keep)
	}
	for line := range strings.SplitSeq(text, "\n") {
		if len(line) > 100 {
			t.Errorf("a line of %d characters: %s", len(line), line)
		}
	}
}

// TestEveryKeyIsDocumented: a key without a doc tag has no manual.
func TestEveryKeyIsDocumented(t *testing.T) {
	var look func(reflect.Type)
	look = func(typ reflect.Type) {
		if typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct {
			return
		}
		for i := range typ.NumField() {
			f := typ.Field(i)
			if !f.IsExported() {
				continue
			}
			if doc := f.Tag.Get("doc"); f.Tag.Get("yaml") == "" || !strings.HasSuffix(doc, ".") {
				t.Errorf("%s.%s: key %q, doc %q", typ.Name(), f.Name, f.Tag.Get("yaml"), doc)
			}
			look(f.Type)
		}
	}
	look(reflect.TypeFor[config.Config]())
}
