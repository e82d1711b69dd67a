package s3

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// maxExpiry is the longest life of a signed request that anything here relies on
// (S3 itself would allow a week).
const maxExpiry = 30 * time.Minute

// pending is a signed request.
type pending struct {
	s         *Store
	name      store.Name
	url       *url.URL // a secret: whoever has it can create the object
	header    http.Header
	body      []byte
	dies      time.Time // by this host's clock, as the signature has it
	discarded atomic.Bool
	key       loan // that it is signed with
}

// Prepare signs a PUT that creates the object if the name is free, and that the
// service refuses after expiry. The signature covers the condition and the
// body's checksum.
func (s *Store) Prepare(ctx context.Context, _ ivd.LeaseID, name store.Name, body []byte, expiry time.Duration) (store.Pending, error) {
	op := "prepare " + s.address(name)
	if err := name.Validate(); err != nil {
		return nil, s.failed(op, err)
	}
	life := s.clock.shorten(expiry).Truncate(time.Second)
	switch {
	case expiry > maxExpiry || expiry < time.Second:
		return nil, s.failed(op, ivd.Errorf(ivd.Invalid, "expiry %s: want 1 s to %s", expiry, maxExpiry))
	case life < time.Second:
		return nil, s.failed(op, &ivd.Error{Kind: ivd.Transient, Err: errAhead, Remedy: "set this host's clock (NTP)"})
	}
	check, sum := s.checksum(body)
	header := http.Header{"If-None-Match": {"*"}, check: {sum}}
	if o := s.locking(name, minio.PutObjectOptions{}); o.Mode != "" {
		header.Set("X-Amz-Object-Lock-Mode", string(o.Mode))
		header.Set("X-Amz-Object-Lock-Retain-Until-Date", o.RetainUntilDate.Format(time.RFC3339))
	}
	dies := time.Now().Add(life)
	var signed *url.URL
	var key loan
	err := s.again(ctx, op, func() (err error) { // the bucket's region may have to be asked for
		if key, err = s.keys.look(); err == nil {
			signed, err = s.core.PresignHeader(ctx, http.MethodPut, s.bucket, s.key(name), life, nil, header)
		}
		return s.failed(op, passing(err))
	})
	if err != nil {
		return nil, err
	}
	return &pending{s: s, name: name, url: signed, header: header, body: body, dies: dies, key: key}, nil
}

var errAhead = errors.New("this host's clock is so far ahead of the store's that the request would live too long")

// Send sends the request, once.
func (p *pending) Send(ctx context.Context) error {
	raw := p.send(ctx)
	_, err := p.s.keys.learn(p.key, raw, p.s.failed("create "+p.s.address(p.name), raw)) // it is not sent a second time
	return err
}

func (p *pending) send(ctx context.Context) error {
	if p.discarded.Load() {
		return ivd.Errorf(ivd.Expired, "the request was given up before")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, p.url.String(), bytes.NewReader(p.body))
	if err != nil {
		return &ivd.Error{Kind: ivd.Invalid, Err: withoutURL(err)}
	}
	r.Header = p.header.Clone()
	r.GetBody = nil // nothing sends the body a second time
	resp, err := p.s.plain.Do(r)
	if ctx.Err() != nil && err != nil {
		return ctx.Err()
	}
	if err != nil {
		return unsure(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return p.refused(resp)
}

// refused reads why the service did not create the object.
func (p *pending) refused(resp *http.Response) error {
	answer := minio.ErrorResponse{}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil || xml.Unmarshal(text, &answer) != nil {
		answer.Message = resp.Status
	}
	answer.StatusCode = resp.StatusCode
	switch {
	case resp.StatusCode == http.StatusPreconditionFailed:
		return &ivd.Error{Kind: ivd.Exists, Err: answer}
	case resp.StatusCode == http.StatusConflict: // another request for the name is under way
		return &ivd.Error{Kind: ivd.Conflict, Err: answer}
	case resp.StatusCode == http.StatusForbidden && p.late(resp, answer.Code):
		return &ivd.Error{Kind: ivd.Expired, Err: answer}
	case p.s.refusesChecksum(answer):
		return answer
	case resp.StatusCode == http.StatusNotImplemented:
		return &ivd.Error{Kind: ivd.Unsupported, Err: fmt.Errorf("this store has no conditional writes: %w", p.s.said(answer)), Remedy: "use a store that knows If-None-Match"}
	case resp.StatusCode == http.StatusInsufficientStorage, codes[answer.Code].kind == ivd.Full:
		return answer
	case resp.StatusCode >= http.StatusInternalServerError:
		return unsure(answer)
	}
	return answer
}

// late tells a request that is refused for its age from one without rights.
func (p *pending) late(resp *http.Response, code string) bool {
	now, err := dateOf(resp.Header)
	return code == "ExpiredPresignRequest" || err == nil && !now.Before(p.dies.Truncate(time.Second))
}

// Discard keeps a later Send from sending. Nothing of the request is stored.
func (p *pending) Discard() { p.discarded.Store(true) }

// unsure says that the object may have been created, or may still be.
func unsure(err error) error {
	return &ivd.Error{Kind: ivd.Transient, Op: "outcome not known", Err: withoutURL(err)}
}

// withoutURL takes a signed URL out of an error's text.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
