package queue

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Extent is how far a bucket has come.
type Extent struct {
	Made time.Time // at its server
	Last uint64    // the latest revision of any key; it never falls, unless the server's files do
}

// Extent asks the server.
func (b *Bucket) Extent(ctx context.Context) (e Extent, err error) {
	err = b.q.retry(ctx, func(ctx context.Context) error {
		s, err := b.q.js.Stream(ctx, bucketStream(b.name))
		if err == nil {
			info := s.CachedInfo()
			e = Extent{Made: info.Created.UTC(), Last: info.State.LastSeq}
		}
		return err
	})
	return e, fail(err, "ask how far %s has come", b.name)
}

// Latest is the revision of the last that was done to a key, if only, for an hour, its
// removal; 0: the server has nothing at all of it.
func (b *Bucket) Latest(ctx context.Context, key string) (uint64, error) {
	m, err := b.last(ctx, b.subject(key))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fail(err, "look for %s", key)
	}
	return m.Sequence, nil
}
