package progress

import (
	"fmt"
	"io"
	"sync"
	"time"

	"ivdmover/shared/telemetry"
)

// Wait shows what is being done for a request that is not answered yet: on a terminal a
// line that stands there, elsewhere a plain one now and then. It is safe for concurrent
// use.
type Wait struct {
	out io.Writer
	now func() time.Time

	mu   sync.Mutex
	bars *bars     // guarded by mu; nil: out is no terminal
	said time.Time // guarded by mu
}

// NewWait makes a Wait that writes to out, by the clock now.
func NewWait(out io.Writer, now func() time.Time) *Wait {
	return &Wait{out: out, now: now, bars: newBars(out)}
}

// Show shows a line; an empty one takes away what is there.
func (w *Wait) Show(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.bars != nil && text == "":
		w.bars.clear()
	case w.bars != nil:
		w.bars.show(nil, nil, "waiting: "+telemetry.Safe(text))
	case text != "" && w.now().Sub(w.said) >= plainEvery:
		w.said = w.now()
		fmt.Fprintln(w.out, "waiting: "+telemetry.Safe(text))
	}
}
