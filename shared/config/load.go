package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"

	"go.yaml.in/yaml/v3"

	"ivdmover/shared/ivd"
)

// maxFile bounds what is read as a configuration.
const maxFile = 1 << 20

// where is the file and the line of each key, for the problems that validation finds.
type where struct {
	file  string
	lines map[string]int
}

const remedyFile = "name the file with --config; `ivd config reference` prints one with every key"

// Load reads a file; keys that it does not have keep their defaults. The caller
// validates the parts that it uses.
func Load(path string) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		kind := ivd.Invalid
		if errors.Is(err, fs.ErrPermission) {
			kind = ivd.Denied
		}
		return nil, &ivd.Error{Kind: kind, Op: "read configuration", Err: err, Remedy: remedyFile}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, &ivd.Error{Kind: ivd.Invalid, Op: "read configuration", Err: err, Remedy: remedyFile}
	}
	if len(data) > maxFile {
		return nil, &ivd.Error{Kind: ivd.Invalid, Op: "read configuration " + path, Err: fmt.Errorf("larger than %d bytes", maxFile), Remedy: remedyFile}
	}
	return Parse(path, data)
}

// Parse decodes a file's content; name is the file's name in problems.
func Parse(name string, data []byte) (*Config, error) {
	c := Default()
	c.where = where{file: name, lines: map[string]int{}}
	d := &decoder{where: c.where}

	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return c, nil
	case err != nil:
		return nil, &ivd.Error{Kind: ivd.Invalid, Op: name, Err: fmt.Errorf("not YAML: %s", oneLine(err)), Remedy: "correct it there; `ivd config reference` prints a whole one"}
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, c.where.problem("", ivd.Invalid, "more than one document: remove what follows the second ---")
	}
	if len(doc.Content) == 1 && doc.Content[0].Tag != "!!null" {
		d.decode(doc.Content[0], reflect.ValueOf(c).Elem(), "")
	}
	if len(d.problems) > 0 {
		return nil, errors.Join(d.problems...)
	}
	return c, nil
}

// problem is one line about one key.
func (w where) problem(path string, kind ivd.Kind, format string, args ...any) error {
	op := w.file
	if line, ok := w.lines[path]; ok {
		op = fmt.Sprintf("%s:%d", w.file, line)
	}
	if path != "" && op != "" {
		op += ": "
	}
	return &ivd.Error{Kind: kind, Op: op + path, Err: fmt.Errorf(format, args...)}
}

// Problem is what another room finds wrong with a key, as the validators say it.
func (c *Config) Problem(path string, err error) error {
	return c.where.problem(path, ivd.KindOf(err), "%w", err)
}

// oneLine is an error of the YAML parser without line breaks and prefix.
func oneLine(err error) string {
	text := bytes.TrimPrefix([]byte(err.Error()), []byte("yaml: "))
	return string(bytes.Join(bytes.Fields(text), []byte(" ")))
}
