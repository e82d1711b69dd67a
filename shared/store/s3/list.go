package s3

import (
	"context"
	"iter"
	"strings"

	"github.com/minio/minio-go/v7"

	"ivdmover/shared/store"
)

// listPage is how many keys a service answers a request of a listing with: S3's own
// limit, which others have kept.
const listPage = 1000

// List goes through the pages of the bucket's listing. After a transient fault it
// goes on behind the last key that was yielded. Keys that are no names of ours
// are passed over.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[store.Info, error] {
	op := "list s3://" + s.bucket + "/" + s.prefix + prefix + "*"
	return func(yield func(store.Info, error) bool) {
		l := &listing{s: s, prefix: s.prefix + prefix, yield: yield}
		for {
			before := l.last
			err := s.do(ctx, op, func() error {
				if l.last != before { // it went on: attempts count anew
					return nil
				}
				return l.run(ctx)
			})
			switch {
			case err != nil:
				if !l.stopped {
					yield(store.Info{}, err)
				}
				return
			case l.done || l.stopped:
				return
			}
		}
	}
}

// listing is where a List stands.
type listing struct {
	s       *Store
	prefix  string
	yield   func(store.Info, error) bool
	last    string // the last key seen
	done    bool   // the listing came to its end
	stopped bool   // the reader of the list wants no more
}

// run lists from the last key on.
func (l *listing) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	noOwner := false
	options := minio.ListObjectsOptions{Prefix: l.prefix, Recursive: true, StartAfter: l.last, FetchOwner: &noOwner}
	for object := range l.s.core.ListObjectsIter(ctx, l.s.bucket, options) {
		if object.Err != nil {
			return object.Err
		}
		l.last = object.Key
		name := store.Name(strings.TrimPrefix(object.Key, l.s.prefix))
		if name.Validate() != nil {
			continue
		}
		if !l.yield(infoOf(name, object), nil) {
			l.stopped = true
			return nil
		}
	}
	if err := ctx.Err(); err != nil { // the library ends quietly then
		return err
	}
	l.done = true
	return nil
}
