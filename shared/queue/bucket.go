package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"ivdmover/shared/ivd"
)

// MaxValue is the largest value that a bucket takes, in bytes: below the largest
// message of NATS, with room for its headers.
const MaxValue = 1<<20 - 4096

const (
	// markHeader names one write, so that a write whose answer was lost is told from
	// another one.
	markHeader = "Ivd-Write"
	// operationHeader is how NATS' buckets mark a deletion.
	operationHeader = "KV-Operation"
)

// Bucket keeps JSON values under keys of tokens with dots between. Every value
// has a revision, that of its last write; revisions grow. What a method answered
// without an error is stored durably. While the server is away a method tries
// again for the patience of the queue's options.
type Bucket struct {
	q    *Queue
	name string

	observe func(Entry) // nil: nobody does

	mu sync.Mutex
	kv jetstream.KeyValue
}

// Observe has f told of each write by this process that the server has acknowledged,
// before the write returns; a removal has no value. What DeletePrefix does is not told.
// It is set before the bucket is written to, and is called from several goroutines.
func (b *Bucket) Observe(f func(Entry)) { b.observe = f }

// State is the bucket of runs, disks and the ledger: the coordinators' alone.
func (q *Queue) State() *Bucket { return q.state }

// Entry is a value with its key and revision.
type Entry struct {
	Key      string
	Revision uint64
	Value    []byte
}

// Decode reads the value's JSON.
func (e Entry) Decode(v any) error {
	if err := json.Unmarshal(e.Value, v); err != nil {
		return &ivd.Error{Kind: ivd.Corrupt, Op: "value of " + e.Key, Err: err}
	}
	return nil
}

// Get reads a key. Kind NotFound: there is certainly no such key.
func Get[T any](ctx context.Context, b *Bucket, key string) (v T, revision uint64, err error) {
	e, err := b.get(ctx, key)
	if err != nil {
		return v, 0, err
	}
	err = e.Decode(&v)
	return v, e.Revision, err
}

func (b *Bucket) get(ctx context.Context, key string) (Entry, error) {
	if err := checkKey(key); err != nil {
		return Entry{}, err
	}
	var e jetstream.KeyValueEntry
	err := b.q.retry(ctx, func(ctx context.Context) error {
		kv, err := b.bind(ctx)
		if err != nil {
			return err
		}
		e, err = kv.Get(ctx, key)
		return err
	})
	if err != nil {
		return Entry{}, fail(err, "read %s", key)
	}
	return Entry{Key: key, Revision: e.Revision(), Value: e.Value()}, nil
}

// Create writes a key that is not there. Kind Exists: it is there.
func (b *Bucket) Create(ctx context.Context, key string, v any) (revision uint64, err error) {
	revision, err = b.put(ctx, key, v, at(0))
	if ivd.KindOf(err) != ivd.Conflict {
		return revision, err
	}
	// A deleted key leaves a marker with a revision of its own.
	after, deleted, lookErr := b.marker(ctx, key)
	if lookErr != nil {
		return 0, fail(lookErr, "create %s", key)
	}
	if deleted {
		revision, err = b.put(ctx, key, v, at(after))
	}
	if ivd.KindOf(err) == ivd.Conflict {
		return 0, &ivd.Error{Kind: ivd.Exists, Op: "create " + key, Err: errors.New("it exists already")}
	}
	return revision, err
}

// Update writes a key that is still at revision. Kind Conflict: it is not, or no
// longer; read it again and decide anew.
func (b *Bucket) Update(ctx context.Context, key string, v any, revision uint64) (uint64, error) {
	return b.put(ctx, key, v, at(revision))
}

// Put writes a key, whatever was there.
func (b *Bucket) Put(ctx context.Context, key string, v any) (revision uint64, err error) {
	return b.put(ctx, key, v, nil)
}

// Delete removes a key; to remove an absent one is no error.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if _, deleted, err := b.marker(ctx, key); err != nil || deleted {
		return fail(err, "delete %s", key)
	}
	return b.remove(ctx, key, nil)
}

// DeleteAt removes a key that is still at revision; kind Conflict otherwise.
func (b *Bucket) DeleteAt(ctx context.Context, key string, revision uint64) error {
	if err := checkKey(key); err != nil {
		return err
	}
	return b.remove(ctx, key, at(revision))
}

// remove leaves a marker for those who watch, which goes by itself.
func (b *Bucket) remove(ctx context.Context, key string, revision *uint64) error {
	m := nats.NewMsg(b.subject(key))
	m.Header.Set(operationHeader, "PURGE")
	m.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
	m.Header.Set(jetstream.MsgTTLHeader, markerLife.String())
	_, err := b.write(ctx, m, revision)
	return fail(err, "delete %s", key)
}

// DeletePrefix removes all keys below prefix at once, without a trace: who
// watches them is not told.
func (b *Bucket) DeletePrefix(ctx context.Context, prefix string) error {
	if prefix == "" {
		return ivd.Errorf(ivd.Invalid, "delete keys: no prefix")
	}
	return fail(b.q.purge(ctx, bucketStream(b.name), b.subject(below(prefix))), "delete the keys below %s", prefix)
}

// marker reports whether the key is deleted, and the revision that a creation then
// follows.
func (b *Bucket) marker(ctx context.Context, key string) (revision uint64, deleted bool, err error) {
	m, err := b.last(ctx, b.subject(key))
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return 0, true, nil
	case err != nil:
		return 0, false, err
	}
	deleted = m.Header.Get(operationHeader) != "" || m.Header.Get(jetstream.MarkerReasonHeader) != ""
	return m.Sequence, deleted, nil
}

// last is the last message of a subject, the marker of a deletion included.
func (b *Bucket) last(ctx context.Context, subject string) (m *jetstream.RawStreamMsg, err error) {
	err = b.q.retry(ctx, func(ctx context.Context) error {
		s, err := b.q.js.Stream(ctx, bucketStream(b.name))
		if err != nil {
			return err
		}
		m, err = s.GetLastMsgForSubject(ctx, subject)
		return err
	})
	return m, err
}

func at(revision uint64) *uint64 { return &revision }

func (b *Bucket) put(ctx context.Context, key string, v any, revision *uint64) (uint64, error) {
	if err := checkKey(key); err != nil {
		return 0, err
	}
	body, err := json.Marshal(v)
	if err != nil {
		return 0, &ivd.Error{Kind: ivd.Invalid, Op: "write " + key, Err: err}
	}
	if len(body) > MaxValue {
		return 0, ivd.Errorf(ivd.Invalid, "write %s: a value of %d bytes, at most %d are allowed", key, len(body), MaxValue)
	}
	m := nats.NewMsg(b.subject(key))
	m.Data = body
	written, err := b.write(ctx, m, revision)
	return written, fail(err, "write %s", key)
}

// write stores a message of a key, and tells of it.
func (b *Bucket) write(ctx context.Context, m *nats.Msg, revision *uint64) (uint64, error) {
	written, err := b.send(ctx, m, revision)
	if err == nil && b.observe != nil {
		b.observe(Entry{Key: strings.TrimPrefix(m.Subject, b.subject("")), Revision: written, Value: m.Data})
	}
	return written, err
}

// send stores a message of a key. When a try got no answer and the next one is
// told that somebody wrote in between, the mark of what is there reports whether
// that was the first try.
func (b *Bucket) send(ctx context.Context, m *nats.Msg, revision *uint64) (uint64, error) {
	mark := nuid.Next()
	m.Header.Set(markHeader, mark)
	if revision != nil {
		m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(*revision, 10))
	}
	tries := 0
	var ack *jetstream.PubAck
	err := b.q.retry(ctx, func(ctx context.Context) error {
		tries++
		var err error
		ack, err = b.q.js.PublishMsg(ctx, m, jetstream.WithRetryAttempts(0))
		return err
	})
	if err == nil {
		return ack.Sequence, nil
	}
	if kind, _ := classify(err); kind == ivd.Conflict && tries > 1 {
		last, lookErr := b.last(ctx, m.Subject)
		if lookErr != nil {
			return 0, lookErr // whose write it was is not known
		}
		if last.Header.Get(markHeader) == mark {
			return last.Sequence, nil
		}
	}
	return 0, err
}

func (b *Bucket) subject(key string) string { return "$KV." + b.name + "." + key }

// bucketStream is the name of a bucket's stream.
func bucketStream(name string) string { return "KV_" + name }

func (b *Bucket) bind(ctx context.Context) (jetstream.KeyValue, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.kv != nil {
		return b.kv, nil
	}
	kv, err := b.q.js.KeyValue(ctx, b.name)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, notSetUp(b.name, err)
	}
	if err != nil {
		return nil, err
	}
	b.kv = kv
	return kv, nil
}

// notSetUp is transient, and never NotFound: a bucket that is not there says
// nothing about a key.
func notSetUp(name string, err error) error {
	return &ivd.Error{
		Kind:   ivd.Transient,
		Op:     "queue",
		Err:    fmt.Errorf("%s is not set up on this server: %w", name, err),
		Remedy: "start `ivd serve`, which sets the queue up",
	}
}
