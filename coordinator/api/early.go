package api

import (
	"errors"
	"net/http"

	"ivdmover/shared/ivd"
)

// errStarting is why a server has no answers that nobody has told for what it waits.
var errStarting = &ivd.Error{Kind: ivd.Transient, Err: errors.New("`ivd serve` is starting"), Remedy: "ask again in a moment"}

// OpenEarly is Open for a server whose rooms are not there yet: until Answer it says for
// what it waits, to whoever is let in.
func OpenEarly(o Options) (*Server, error) { return open(o) }

// Waits says why there is no answer yet, which is the answer to everything. It holds until
// Answer, or the next call.
func (s *Server) Waits(why error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+root+"/version", version)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fail(w, why) })
	s.routes.Store(&routes{mux})
}

// Answer has the server answer from the rooms from now on.
func (s *Server) Answer(rooms Rooms) {
	h := &handler{rooms: rooms, stopping: s.stopping}
	s.routes.Store(&routes{h.routes()})
}

// routes are what the server answers with now.
type routes struct{ http.Handler }

func (s *Server) answerNow(w http.ResponseWriter, r *http.Request) { s.routes.Load().ServeHTTP(w, r) }

func version(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, ThisBuild()) }

func healthy(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, Health{Ready: true}) }
