package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
)

// Reference returns a configuration file with every key, its default or an example,
// and its meaning. It can be loaded as it is.
func Reference() string {
	c := Default()
	c.VCenters = []VCenter{defaultVCenter()}
	c.Policies = []Policy{DefaultPolicy()}
	c.Repository.Limits.Hours = []LimitHours{{Days: Weekdays[1:6], From: 8 * 60, To: 18 * 60}}
	c.Mover.Name = "proxy-1"
	var w strings.Builder
	w.WriteString("# Configuration of ivd and ivd-mover: both read the same file, each uses the parts it\n" +
		"# knows. An unknown key is an error. Values are the defaults, or examples where there\n" +
		"# is no default.\n")
	writeStruct(&w, reflect.ValueOf(*c), "")
	return w.String()
}

// textWidth is the width of comments.
const textWidth = 92

func writeStruct(w *strings.Builder, v reflect.Value, indent string) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		key := f.Tag.Get("yaml")
		if key == "" {
			continue
		}
		if indent == "" {
			w.WriteString("\n")
		}
		for _, line := range wrap(f.Tag.Get("doc"), textWidth-len(indent)) {
			w.WriteString(indent + "# " + line + "\n")
		}
		if f.Tag.Get("reference") == "unset" { // its keys together mean something else than its absence
			w.WriteString(indent + key + ":\n" + unset(v.Field(i), indent+"  "))
			continue
		}
		writeValue(w, key, v.Field(i), f.Tag.Get("example"), indent)
	}
}

// unset is the keys of a struct, which are told of and not set.
func unset(v reflect.Value, indent string) string {
	var text strings.Builder
	writeStruct(&text, v, indent)
	var w strings.Builder
	for line := range strings.Lines(text.String()) {
		if key := strings.TrimPrefix(line, indent); !strings.HasPrefix(key, "#") {
			line = indent + "#   " + key
		}
		w.WriteString(line)
	}
	return w.String()
}

func writeValue(w *strings.Builder, key string, v reflect.Value, example, indent string) {
	switch {
	case example != "":
		fmt.Fprintf(w, "%s%s: %q\n", indent, key, example)
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		w.WriteString(indent + key + ":\n")
		for i := range v.Len() {
			var item strings.Builder
			writeStruct(&item, v.Index(i), indent+"    ")
			w.WriteString(indent + "  -\n" + item.String())
		}
	case v.Kind() == reflect.Struct:
		w.WriteString(indent + key + ":\n")
		writeStruct(w, v, indent+"  ")
	default:
		fmt.Fprintf(w, "%s%s: %s\n", indent, key, scalarText(v))
	}
}

// scalarText is a value in YAML.
func scalarText(v reflect.Value) string {
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		if text, err := m.MarshalText(); err == nil {
			return string(text)
		}
	}
	switch v.Kind() {
	case reflect.Pointer:
		return "null"
	case reflect.String:
		return fmt.Sprintf("%q", v.String())
	case reflect.Slice:
		items := make([]string, v.Len())
		for i := range items {
			items[i] = scalarText(v.Index(i))
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	return fmt.Sprint(v.Interface())
}

func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return append(lines, line)
}
