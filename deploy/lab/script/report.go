package script

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Misuse is one line of report.jsonl: a rule of the library that a program broke.
// The real library would crash, or go wrong later.
type Misuse struct {
	Time   time.Time `json:"time"`
	PID    int       `json:"pid"`
	Rule   string    `json:"rule"`
	Detail string    `json:"detail"`
}

// Misuses reads a laboratory's report.jsonl; without one, there were none. A line
// that is not whole yet is left out.
func Misuses(dir string) ([]Misuse, error) {
	text, err := os.ReadFile(filepath.Join(dir, "report.jsonl"))
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
			return list, fmt.Errorf("report.jsonl, line %d: %w", len(list)+1, err)
		}
		list = append(list, m)
	}
	return list, nil
}
