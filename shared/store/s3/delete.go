package s3

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/minio/minio-go/v7"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// Delete removes an object by requests that say themselves until when the service may
// obey them. In a bucket that keeps versions, which its answer tells, every version of
// the object is removed then: a marker alone frees nothing.
func (s *Store) Delete(ctx context.Context, name store.Name) error {
	op := "delete " + s.address(name)
	if err := name.Validate(); err != nil {
		return s.failed(op, err)
	}
	ctx, cancel := store.Deleting(ctx)
	defer cancel()
	versioned := false
	err := s.do(ctx, op, func() (err error) {
		versioned, err = s.remove(ctx, name, "")
		return err
	})
	if kind := ivd.KindOf(err); err != nil && kind != ivd.NotFound { // some services say that it was absent
		return err
	}
	if !versioned {
		return nil
	}
	if err := s.removeVersions(ctx, name); err != nil {
		return &ivd.Error{
			Kind: ivd.KindOf(err), Op: op, Err: fmt.Errorf("%w: %w", store.ErrVersionsKept, err),
			Remedy: "allow s3:ListBucketVersions and s3:DeleteObjectVersion to who collects, or have the bucket's life-cycle rules expire noncurrent versions",
		}
	}
	return nil
}

// removeVersions removes every version of an object and every marker of its deletion.
func (s *Store) removeVersions(ctx context.Context, name store.Name) error {
	op := "delete the versions of " + s.address(name)
	var versions []string
	err := s.do(ctx, op, func() error {
		versions = nil
		options := minio.ListObjectsOptions{Prefix: s.key(name), Recursive: true, WithVersions: true}
		for o := range s.core.ListObjectsIter(ctx, s.bucket, options) {
			if o.Err != nil {
				return o.Err
			}
			if o.Key == s.key(name) {
				versions = append(versions, o.VersionID)
			}
		}
		return ctx.Err() // the library ends quietly then
	})
	if err != nil {
		return err
	}
	for _, version := range versions {
		err := s.do(ctx, op, func() error {
			_, err := s.remove(ctx, name, version)
			return err
		})
		if err != nil && ivd.KindOf(err) != ivd.NotFound {
			return err
		}
	}
	return nil
}

// remove sends one request to delete an object, or a version of it, and reports whether
// the service keeps versions. The service obeys it until the context's deadline, which
// Deleting has set.
func (s *Store) remove(ctx context.Context, name store.Name, version string) (versioned bool, err error) {
	query := url.Values{}
	if version != "" {
		query.Set("versionId", version)
	}
	signed, err := s.signedDeletion(ctx, name, query)
	if err != nil {
		return false, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodDelete, signed.String(), http.NoBody)
	if err != nil {
		return false, &ivd.Error{Kind: ivd.Invalid, Err: withoutURL(err)}
	}
	resp, err := s.plain.Do(r)
	if err != nil {
		return false, withoutURL(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 == 2 {
		return resp.Header.Get("X-Amz-Version-Id") != "" || resp.Header.Get("X-Amz-Delete-Marker") != "", nil
	}
	answer := minio.ErrorResponse{}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil || xml.Unmarshal(text, &answer) != nil {
		answer.Message = resp.Status
	}
	answer.StatusCode = resp.StatusCode
	return false, answer
}

// signedDeletion is a request to delete that is dead by the context's deadline. That is
// seen by what it says itself: this host may be suspended between any two steps.
func (s *Store) signedDeletion(ctx context.Context, name store.Name, query url.Values) (*url.URL, error) {
	if err := store.Late(ctx); err != nil {
		return nil, err
	}
	dies, _ := ctx.Deadline()
	dies = dies.Round(0)
	life := s.clock.shorten(dies.Sub(time.Now().Round(0))).Truncate(time.Second)
	if life < time.Second {
		return nil, &ivd.Error{Kind: ivd.Transient, Err: errAhead, Remedy: remedyClock}
	}
	signed, err := s.core.Presign(ctx, http.MethodDelete, s.bucket, s.key(name), life, query)
	if err != nil {
		return nil, err
	}
	at, err := time.Parse(signedAt, signed.Query().Get("X-Amz-Date"))
	if err != nil {
		return nil, fmt.Errorf("when the request was signed: %w", err)
	}
	if at.Add(life).After(dies) {
		return nil, context.DeadlineExceeded
	}
	return signed, nil
}

// signedAt is how a signed request says when it was signed.
const signedAt = "20060102T150405Z"

// Revoke has nothing to do: a signed request says until when it may be obeyed, which is
// before the deadline of the lease that it was prepared for.
func (s *Store) Revoke(ctx context.Context, _ ivd.LeaseID) error { return ctx.Err() }
