package api

import (
	"maps"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"ivdmover/coordinator/news"
)

// newsEvery is how often a client hears that its request is still worked on.
const newsEvery = 2 * time.Second

// newsHeader of a response has, percent-encoded, what is being done for the request; of a
// request, newsWanted.
const (
	newsHeader = "Ivd-News"
	newsWanted = "wanted"
)

// live sends interim responses (102, RFC 2518) while a request is worked on, to whoever
// wants them: many a client takes the first response for the answer. What takes hours is
// then told from a server that is gone: a client needs no limit but one of silence.
func live(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(newsHeader) != newsWanted || !r.ProtoAtLeast(1, 1) { // before that there are no interim responses
			next.ServeHTTP(w, r)
			return
		}
		l := &liveWriter{inner: w, header: http.Header{}}
		l.hear("at work")
		answered := make(chan struct{})
		var group sync.WaitGroup
		group.Go(func() { l.tell(answered) })
		defer group.Wait()
		defer close(answered)
		next.ServeHTTP(l, r.WithContext(news.To(r.Context(), l.hear)))
	})
}

// liveWriter is a response before which there may be interim ones.
type liveWriter struct {
	inner  http.ResponseWriter
	header http.Header  // of the response, which is set while interim ones are written
	line   atomic.Value // a string; whoever works on the request does not wait for its client

	mu    sync.Mutex // held while inner's header is used, and interim responses are written
	begun bool       // guarded by mu: the response has
}

// tell writes interim responses until the response has begun.
func (l *liveWriter) tell(answered <-chan struct{}) {
	ticker := time.NewTicker(newsEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			l.interim()
		case <-answered:
			return
		}
	}
}

func (l *liveWriter) interim() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.begun {
		return
	}
	h := l.inner.Header()
	h.Set(newsHeader, url.PathEscape(l.line.Load().(string)))
	l.inner.WriteHeader(http.StatusProcessing)
	h.Del(newsHeader)
}

func (l *liveWriter) hear(line string) { l.line.Store(line) }

// Header is the response's.
func (l *liveWriter) Header() http.Header { return l.header }

// WriteHeader begins the response.
func (l *liveWriter) WriteHeader(status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begun = true
	maps.Copy(l.inner.Header(), l.header)
	l.inner.WriteHeader(status)
}

// Write begins the response where nothing else has.
func (l *liveWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	begun := l.begun
	l.mu.Unlock()
	if !begun {
		l.WriteHeader(http.StatusOK)
	}
	return l.inner.Write(b)
}

// Unwrap is for http.ResponseController.
func (l *liveWriter) Unwrap() http.ResponseWriter { return l.inner }
