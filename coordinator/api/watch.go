package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/url"
	"time"

	"ivdmover/coordinator/run"
	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
)

const (
	firstAgain = 250 * time.Millisecond // before a lost server is asked again
	lastAgain  = 5 * time.Second
	silence    = 4 * eventIdle // without even an empty line: the connection is dead
)

// Watch yields a run as it is and at its changes, the last time when it has
// ended. A server that goes away is looked for again for the client's patience,
// since the run goes on when `ivd serve` is started anew. An error is yielded
// once, at the end.
func (c *Client) Watch(ctx context.Context, id ivd.RunID) iter.Seq2[run.View, error] {
	return func(yield func(run.View, error) bool) {
		var lost time.Time // since when nothing was heard; zero: all is well
		again := firstAgain
		for {
			ended, heard, err := c.watchOnce(ctx, id, func(v run.View) bool { return yield(v, nil) })
			if ended {
				return
			}
			if ctx.Err() != nil {
				yield(run.View{}, context.Cause(ctx))
				return
			}
			if heard {
				lost, again = time.Time{}, firstAgain
			}
			if lost.IsZero() {
				lost = time.Now()
			}
			if k := ivd.KindOf(err); k != ivd.Transient && k != ivd.Cancelled || time.Since(lost) > c.patience {
				yield(run.View{}, err)
				return
			}
			if pause.For(ctx, again) != nil {
				yield(run.View{}, context.Cause(ctx))
				return
			}
			again = min(2*again, lastAgain)
		}
	}
}

// watchOnce follows one connection. ended: there is no more to yield. heard: at
// least one view came. The error says why the connection ended, where not ended.
func (c *Client) watchOnce(ctx context.Context, id ivd.RunID, yield func(run.View) bool) (ended, heard bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	response, err := c.send(ctx, http.MethodGet, "/v1/runs/"+url.PathEscape(string(id))+"/events", nil, nil)
	if err != nil {
		return false, false, err
	}
	defer func() { _ = response.Body.Close() }()
	watchdog := time.AfterFunc(silence, cancel)
	defer watchdog.Stop()
	events := json.NewDecoder(&fed{r: response.Body, feed: func() { watchdog.Reset(silence) }})
	for {
		var e event
		if err := events.Decode(&e); err != nil {
			return false, heard, &ivd.Error{Kind: ivd.Transient, Op: "events from " + c.base.String(), Err: broken(err)}
		}
		if e.Error != nil {
			return false, heard, e.Error.Err()
		}
		heard = true
		if !yield(e.View) || e.State.Ended() {
			return true, true, nil
		}
	}
}

func broken(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.Canceled) {
		return errors.New("the connection broke off")
	}
	return err
}

// fed calls feed after every read that brought something.
type fed struct {
	r    io.Reader
	feed func()
}

func (f *fed) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if n > 0 {
		f.feed()
	}
	return n, err
}
