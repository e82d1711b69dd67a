package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"ivdmover/shared/ivd"
)

const (
	eventGap     = 300 * time.Millisecond // between two changes, at least
	eventGapDisk = 100 * time.Microsecond // more for each disk in the one before
	eventIdle    = 15 * time.Second       // after which a comment says that the server lives
	eventWrite   = 30 * time.Second       // for the client to take a change
)

// Names of events. A change is its disks and then the run; an error is the last.
const (
	diskEvent  = "disk"
	runEvent   = "run"
	errorEvent = "error"
)

// events streams a run until it has ended, the client goes, or the server ends.
func (h *handler) events(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(h.stopping, cancel)()

	id := ivd.RunID(r.PathValue("id"))
	if _, err := h.rooms.Runs.Run(ctx, id); err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	out := &eventWriter{w: w, flush: http.NewResponseController(w)}
	stream(ctx, h.rooms.Runs.Watch(ctx, id), out.change, out.alive)
}

// eventWriter writes events (HTML Standard, section 9.2) and pushes each change out
// to the client at once.
type eventWriter struct {
	w     http.ResponseWriter
	flush *http.ResponseController
	buf   bytes.Buffer
}

func (e *eventWriter) alive() error {
	e.buf.WriteString(": alive\n\n")
	return e.push()
}

func (e *eventWriter) change(c Change, err error) error {
	if err != nil {
		err = e.add(errorEvent, problem{Error: ivd.FailureOf(err)})
		if err != nil {
			return err
		}
		return e.push()
	}
	for _, d := range c.Disks {
		if err := e.add(diskEvent, d); err != nil {
			return err
		}
	}
	if err := e.add(runEvent, c.Run); err != nil {
		return err
	}
	return e.push()
}

// add adds one event; JSON has no line ends in it.
func (e *eventWriter) add(name string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	fmt.Fprintf(&e.buf, "event: %s\ndata: %s\n\n", name, body)
	return nil
}

func (e *eventWriter) push() error {
	defer e.buf.Reset()
	if err := e.flush.SetWriteDeadline(time.Now().Add(eventWrite)); err != nil {
		return err
	}
	if _, err := e.w.Write(e.buf.Bytes()); err != nil {
		return err
	}
	return e.flush.Flush()
}
