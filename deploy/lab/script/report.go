package script

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Misuse is one line of a report: a rule of the library that a program broke.
// The real library would crash, or go wrong later.
type Misuse struct {
	Time   time.Time `json:"time"`
	PID    int       `json:"pid"`
	Rule   string    `json:"rule"`
	Detail string    `json:"detail"`
}

// EndAccess is the rule of entries that a laboratory makes when it ends: access was
// prepared, and nobody has ended it. Before that another process may still do so.
const EndAccess = "end-access"

// The files of the report: what the library found, and what the laboratory did
// when it ended, which counts until it is started again.
const (
	reportName  = "report.jsonl"
	unendedName = "unended.jsonl"
)

// Misuses reads what is in a laboratory's report; without one, there were none. A
// line that is not whole yet is left out.
func Misuses(dir string) ([]Misuse, error) {
	list, err := readMisuses(dir, reportName)
	last, lastErr := readMisuses(dir, unendedName)
	return append(list, last...), cmp.Or(err, lastErr)
}

// WriteUnended replaces what a laboratory that ends says of access that nobody has
// ended. None: one that starts takes it back.
func WriteUnended(dir string, list []Misuse) error {
	if len(list) == 0 {
		if err := os.Remove(filepath.Join(dir, unendedName)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("take %s back: %w", unendedName, err)
		}
		return nil
	}
	var text bytes.Buffer
	lines := json.NewEncoder(&text)
	for _, m := range list {
		if err := lines.Encode(m); err != nil {
			return fmt.Errorf("write %s: %w", unendedName, err)
		}
	}
	return replace(dir, unendedName, text.Bytes())
}

func readMisuses(dir, name string) ([]Misuse, error) {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []Misuse
	for line := range bytes.Lines(text) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break
		}
		var m Misuse
		if err := json.Unmarshal(line, &m); err != nil {
			return list, fmt.Errorf("%s, line %d: %w", name, len(list)+1, err)
		}
		list = append(list, m)
	}
	return list, nil
}
