package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"sync"
	"time"
)

// errSilent is the end of a request of which nothing was heard any more.
var errSilent = errors.New("nothing was heard for " + silence.String())

// silence is how long a server may say nothing at all: it says that it is at work far
// more often, whatever that takes.
const silence = time.Minute

// ear listens to the server for one request, and gives up when it is silent.
type ear struct {
	cancel   context.CancelCauseFunc
	watchdog *time.Timer
	news     func(line string) // may be nil

	mu    sync.Mutex // held while news are told
	heard bool       // guarded by mu: there were news
	over  bool       // guarded by mu: there are no more; the transport may still hear some of a request that was given up
}

// listen returns the request with an ear. The caller must call stop.
func (c *Client) listen(r *http.Request) (*http.Request, *ear) {
	r.Header.Set(newsHeader, newsWanted)
	ctx, cancel := context.WithCancelCause(r.Context())
	e := &ear{cancel: cancel, watchdog: time.AfterFunc(silence, func() { cancel(errSilent) }), news: c.news}
	trace := &httptrace.ClientTrace{Got1xxResponse: func(status int, h textproto.MIMEHeader) error {
		e.sign()
		if line, err := url.PathUnescape(h.Get(newsHeader)); status == http.StatusProcessing && err == nil {
			e.tell(line)
		}
		return nil
	}}
	return r.WithContext(httptrace.WithClientTrace(ctx, trace)), e
}

// silenced is errSilent where a request was given up for that.
func silenced(ctx context.Context) error {
	if errors.Is(context.Cause(ctx), errSilent) {
		return errSilent
	}
	return nil
}

// sign is a sign of life.
func (e *ear) sign() { e.watchdog.Reset(silence) }

func (e *ear) tell(line string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.news != nil && !e.over {
		e.heard = true
		e.news(line)
	}
}

// answered ends the news.
func (e *ear) answered() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.over = true
	if e.heard {
		e.news("")
	}
}

func (e *ear) stop() {
	e.watchdog.Stop()
	e.cancel(nil)
}

// heardBody is an answer's, which ends when the server falls silent.
type heardBody struct {
	io.ReadCloser
	ctx context.Context
	ear *ear
}

func (b *heardBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.ear.sign()
	}
	if cause := context.Cause(b.ctx); err != nil && cause != nil {
		err = cause
	}
	return n, err
}

func (b *heardBody) Close() error {
	b.ear.stop()
	return b.ReadCloser.Close()
}
