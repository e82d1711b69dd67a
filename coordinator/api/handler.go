package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"ivdmover/shared/ivd"
)

// maxBody bounds a request: a backup of 20,000 disks by their ids fits.
const maxBody = 1 << 20

// handler answers the paths under /api/v1 from the rooms. stopping ends the streams
// of events when the server is about to end.
type handler struct {
	rooms    Rooms
	stopping context.Context
}

// routes are the paths of the API; its only list.
func (h *handler) routes() http.Handler {
	mux := http.NewServeMux()
	get := func(path string, answer http.HandlerFunc) { mux.HandleFunc("GET "+root+path, answer) }
	post := func(path string, answer http.HandlerFunc) { mux.HandleFunc("POST "+root+path, answer) }
	get("/version", version)
	get("/health", healthy)
	get("/disks", h.disks)
	get("/snapshots", h.snapshots)
	post("/snapshots/{id}/delete", h.deleteSnapshot)
	post("/backups", h.startBackup)
	post("/restores", h.startRestore)
	post("/verifications", h.startVerify)
	get("/runs", h.runs)
	get("/runs/{id}", h.run)
	get("/runs/{id}/disks", h.runDisks)
	get("/runs/{id}/events", h.events)
	post("/runs/{id}/cancel", h.cancel)
	get("/points", h.points)
	get("/points/{point...}", h.point)
	post("/forgotten", h.forget)
	post("/pins", h.keep(Retention.Pin))
	post("/pins/release", h.keep(Retention.Unpin))
	post("/holds", h.keep(Retention.Hold))
	post("/holds/release", h.keep(Retention.Release))
	get("/movers", h.movers)
	get("/movers/shortage", h.shortage)
	get("/repo", h.repo)
	return live(jsonErrors(mux))
}

// jsonErrors answers what no route matches as every other failure is answered.
func jsonErrors(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		// The mux knows 404 from 405; only its words are replaced.
		p := &probe{header: http.Header{}}
		mux.ServeHTTP(p, r)
		if allow := p.header.Get("Allow"); allow != "" {
			w.Header().Set("Allow", allow)
			err := ivd.Errorf(ivd.Invalid, "%s is not for %s", r.Method, r.URL.Path)
			answer(w, http.StatusMethodNotAllowed, problem{Error: ivd.FailureOf(err)})
			return
		}
		err := &ivd.Error{Kind: ivd.NotFound, Err: fmt.Errorf("no such path: %s", r.URL.Path), Remedy: "use a client of this server's version"}
		fail(w, err)
	})
}

// probe takes an answer of the mux and drops its body.
type probe struct{ header http.Header }

func (p *probe) Header() http.Header         { return p.header }
func (p *probe) Write(b []byte) (int, error) { return len(b), nil }
func (p *probe) WriteHeader(int)             {}

// read decodes a request's body strictly: one JSON object, no unknown field.
func read(w http.ResponseWriter, r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return &ivd.Error{Kind: ivd.Invalid, Op: "request body", Err: plain(err)}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return ivd.Errorf(ivd.Invalid, "request body: more than one JSON value")
	}
	return nil
}

// plain says a decoder's error without the name of its package.
func plain(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("empty, want a JSON object")
	}
	return errors.New(strings.TrimPrefix(err.Error(), "json: "))
}

// reply answers with v, or with err.
func reply[T any](w http.ResponseWriter, v T, err error) {
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, http.StatusOK, v)
}
