package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"ivdmover/coordinator/run"
	"ivdmover/shared/ivd"
)

const (
	eventGap     = 300 * time.Millisecond // between two lines, at least
	eventGapDisk = 100 * time.Microsecond // more for each disk in the line
	eventIdle    = 15 * time.Second       // after which an empty line says that the server lives
	eventWrite   = 30 * time.Second       // for the client to take a line
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
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	out := &lines{w: w, flush: http.NewResponseController(w)}
	stream(ctx, h.rooms.Runs.Watch(ctx, id), out.event, out.alive)
}

// lines writes a line at a time and pushes it out to the client at once.
type lines struct {
	w     http.ResponseWriter
	flush *http.ResponseController
}

func (l *lines) alive() error { return l.write([]byte("\n")) }

func (l *lines) event(v run.View, err error) error {
	var line any = whole(v)
	if err != nil {
		line = problem{Error: ivd.FailureOf(err)}
	}
	body, err := json.Marshal(line)
	if err != nil {
		return err
	}
	return l.write(append(body, '\n'))
}

func (l *lines) write(b []byte) error {
	if err := l.flush.SetWriteDeadline(time.Now().Add(eventWrite)); err != nil {
		return err
	}
	if _, err := l.w.Write(b); err != nil {
		return err
	}
	return l.flush.Flush()
}
