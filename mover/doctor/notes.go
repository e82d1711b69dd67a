package doctor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"ivdmover/shared/ivd"
	"ivdmover/vddk"
)

// maxNotes is how many warnings are kept, the last ones.
const maxNotes = 50

// notes is a log handler that keeps warnings for the report.
type notes struct {
	mu    sync.Mutex
	lines []string
}

// Enabled is for warnings and what is worse.
func (n *notes) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }

// Handle keeps a record.
func (n *notes) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		return true
	})
	n.add(b.String())
	return nil
}

// WithAttrs drops them: nobody adds any.
func (n *notes) WithAttrs([]slog.Attr) slog.Handler { return n }

// WithGroup drops it.
func (n *notes) WithGroup(string) slog.Handler { return n }

func (n *notes) add(line string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, strings.ReplaceAll(line, "\n", "; "))
	if len(n.lines) > maxNotes {
		n.lines = n.lines[len(n.lines)-maxNotes:]
	}
}

func (n *notes) list() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.lines)
}

func (n *notes) about(what string) (list []string) {
	for _, l := range n.list() {
		if strings.Contains(l, what) {
			list = append(list, l)
		}
	}
	return list
}

// remedyOf finds the advice of our errors and of the library's.
func remedyOf(err error) string {
	if r := ivd.RemedyOf(err); r != "" {
		return r
	}
	var load *vddk.LoadError
	if errors.As(err, &load) {
		return load.Remedy
	}
	var v *vddk.Error
	if errors.As(err, &v) {
		return v.Remedy
	}
	return ""
}
