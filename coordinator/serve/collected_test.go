package serve

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"ivdmover/coordinator/collect"
)

// A pin that has no effect is told by a collection that nobody watches, too.
func TestForgedMarksAreLogged(t *testing.T) {
	var log bytes.Buffer
	tellCollected(slog.New(slog.NewTextHandler(&log, nil)), collect.Report{Ignored: []string{"pins/x: forged"}})
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "pins/x: forged") {
		t.Error(log.String())
	}
}
