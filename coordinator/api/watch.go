package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
)

const maxEvent = 1 << 20 // bytes of one

// Watch yields a run with its disks as they are, and again at each change; the last
// one is the run that has ended. When the connection breaks, it connects again for as
// long as the client's patience lasts, since the run continues when `ivd serve` is
// restarted. An error is yielded once, at the end.
func (c *Client) Watch(ctx context.Context, id ivd.RunID) iter.Seq2[RunDetail, error] {
	return func(yield func(RunDetail, error) bool) {
		lost := c.again().Series()
		for {
			ended, heard, err := c.watchOnce(ctx, id, func(r RunDetail) bool { return yield(r, nil) })
			if ended {
				return
			}
			if heard {
				lost.Reset()
			}
			if err := lost.Wait(ctx, err); err != nil {
				yield(RunDetail{}, err)
				return
			}
		}
	}
}

// again returns the back-off between connections. A connection that was given up for
// its silence counts as broken.
func (c *Client) again() pause.Backoff {
	return pause.Backoff{
		First: 250 * time.Millisecond, Cap: 5 * time.Second, Patience: c.patience,
		Retry: func(err error, _ int) bool {
			k := ivd.KindOf(err)
			return c.patience > 0 && (k == ivd.Transient || k == ivd.Cancelled)
		},
	}
}

// watchOnce follows one connection. It reports whether the watch has ended and
// whether at least one change was heard; err is why the connection broke otherwise.
func (c *Client) watchOnce(ctx context.Context, id ivd.RunID, yield func(RunDetail) bool) (ended, heard bool, err error) {
	response, err := c.send(ctx, http.MethodGet, root+"/runs/"+url.PathEscape(string(id))+"/events", nil, nil)
	if err != nil {
		return false, false, err
	}
	defer func() { _ = response.Body.Close() }()

	var seen RunDetail
	for e, err := range readEvents(response.Body) {
		if err == nil {
			err = e.into(&seen)
		}
		if err != nil {
			return false, heard, c.brokeOff(err)
		}
		if e.name != runEvent {
			continue
		}
		heard = true
		shown := seen
		shown.Disks = slices.Clone(seen.Disks) // the receiver may keep them
		if !yield(shown) || seen.State.Ended() {
			return true, true, nil
		}
	}
	return false, heard, c.brokeOff(io.EOF)
}

// brokeOff returns why a stream of events ended before its run did: the server's
// error, or the connection's.
func (c *Client) brokeOff(err error) error {
	if ivd.KindOf(err) != ivd.Unknown && !errors.Is(err, context.Canceled) {
		return err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.Canceled) {
		err = errors.New("the connection broke off")
	}
	return &ivd.Error{Kind: ivd.Transient, Op: "events from " + c.base.String(), Err: err}
}

// sentEvent is one event of a stream.
type sentEvent struct {
	name string
	data []byte
}

// into updates a run by an event. Events of an unknown name are ignored.
func (e sentEvent) into(r *RunDetail) error {
	switch e.name {
	case runEvent:
		var run Run // a field that is left out is unset
		err := json.Unmarshal(e.data, &run)
		r.Run = run
		return err
	case diskEvent:
		var d RunDisk
		if err := json.Unmarshal(e.data, &d); err != nil {
			return err
		}
		i, known := slices.BinarySearchFunc(r.Disks, d.Key, func(d RunDisk, key string) int { return strings.Compare(d.Key, key) })
		if !known {
			r.Disks = slices.Insert(r.Disks, i, d)
		}
		r.Disks[i] = d
	case errorEvent:
		var p problem
		if err := json.Unmarshal(e.data, &p); err != nil {
			return err
		}
		return p.Error.Err()
	}
	return nil
}

// readEvents yields the events of a stream (HTML Standard, section 9.2) until it
// ends. It ignores ids and comments.
func readEvents(r io.Reader) iter.Seq2[sentEvent, error] {
	return func(yield func(sentEvent, error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, maxEvent)
		var e sentEvent
		for lines.Scan() {
			field, value, _ := strings.Cut(lines.Text(), ":")
			value = strings.TrimPrefix(value, " ")
			switch field {
			case "event":
				e.name = value
			case "data":
				e.data = append(e.data, value...)
			case "": // an empty line ends an event; a comment is none
				if lines.Text() == "" && e.data != nil {
					if !yield(e, nil) {
						return
					}
					e = sentEvent{}
				}
			}
		}
		if err := lines.Err(); err != nil {
			yield(sentEvent{}, err)
		}
	}
}
