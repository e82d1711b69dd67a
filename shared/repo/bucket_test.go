package repo_test

import (
	"bytes"
	"context"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store"
)

// bucket is a store in memory whose clock and faults a test decides. It says what
// was asked of it, in order.
type bucket struct {
	mu       sync.Mutex
	objects  map[store.Name]store.Object
	ahead    time.Duration // of this machine's clock
	late     bool          // requests are not refused for their age
	careless bool          // nor creations of a name that is taken
	page     int           // names that a request of a listing brings
	ordered  bool          // listings are, as S3's are
	log      []string      // "get repo.json"
	// fault is asked before each call and may answer it; after is asked for the
	// answer of one that has happened.
	fault func(op string, name string) error
	after func(op string, name string) error
	// tear is asked before a listing tells of its n-th object, from 0, and may end it.
	tear func(prefix string, n int) error
}

func newBucket() *bucket { return &bucket{objects: map[store.Name]store.Object{}} }

func (b *bucket) now() time.Time { return time.Now().Add(b.ahead) }

// pass lets time pass by the store's clock.
func (b *bucket) pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ahead += d
}

func (b *bucket) begin(ctx context.Context, op, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	b.log = append(b.log, op+" "+name)
	fault := b.fault
	b.mu.Unlock()
	if fault != nil {
		return fault(op, name)
	}
	return nil
}

func (b *bucket) end(op, name string) error {
	b.mu.Lock()
	after := b.after
	b.mu.Unlock()
	if after != nil {
		return after(op, name)
	}
	return nil
}

func (b *bucket) put(name store.Name, body []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.objects[name] = store.Object{Info: store.Info{Name: name, Size: int64(len(body)), Modified: b.now()}, Body: bytes.Clone(body)}
}

func (b *bucket) find(name store.Name) (store.Object, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o, ok := b.objects[name]
	if !ok {
		return o, ivd.Errorf(ivd.NotFound, "no object %s", name)
	}
	o.Now = b.now()
	return o, nil
}

func (b *bucket) Put(ctx context.Context, name store.Name, body []byte) error {
	if err := b.begin(ctx, "put", string(name)); err != nil {
		return err
	}
	b.put(name, body)
	return b.end("put", string(name))
}

func (b *bucket) Get(ctx context.Context, name store.Name, limit int64) (store.Object, error) {
	if err := b.begin(ctx, "get", string(name)); err != nil {
		return store.Object{}, err
	}
	o, err := b.find(name)
	if err == nil && o.Size > limit {
		return o, store.TooLarge(o.Size, limit)
	}
	return o, err
}

func (b *bucket) ReadAt(ctx context.Context, name store.Name, p []byte, offset int64) error {
	if err := b.begin(ctx, "read", string(name)); err != nil {
		return err
	}
	o, err := b.find(name)
	if err != nil {
		return err
	}
	if offset+int64(len(p)) > o.Size {
		return &ivd.Error{Kind: ivd.Corrupt, Err: io.ErrUnexpectedEOF}
	}
	copy(p, o.Body[offset:])
	return nil
}

func (b *bucket) Stat(ctx context.Context, name store.Name) (store.Info, error) {
	if err := b.begin(ctx, "stat", string(name)); err != nil {
		return store.Info{}, err
	}
	o, err := b.find(name)
	return o.Info, err
}

func (b *bucket) List(ctx context.Context, prefix string) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		if err := b.begin(ctx, "list", prefix); err != nil {
			yield(store.Info{}, err)
			return
		}
		b.mu.Lock()
		var found []store.Info
		for name, o := range b.objects {
			if strings.HasPrefix(string(name), prefix) {
				found = append(found, o.Info)
			}
		}
		if b.ordered {
			slices.SortFunc(found, func(a, b store.Info) int { return strings.Compare(string(a.Name), string(b.Name)) })
		}
		tear := b.tear
		b.mu.Unlock()
		for i, info := range found {
			if tear != nil {
				if err := tear(prefix, i); err != nil {
					yield(store.Info{}, err)
					return
				}
			}
			if !yield(info, nil) {
				return
			}
		}
	}
}

func (b *bucket) Replace(ctx context.Context, was store.Object, body []byte) error {
	if err := b.begin(ctx, "replace", string(was.Name)); err != nil {
		return err
	}
	if o, err := b.find(was.Name); (err != nil || !bytes.Equal(o.Body, was.Body)) && !b.careless {
		return ivd.Errorf(ivd.Conflict, "%s is not what was read", was.Name)
	}
	b.put(was.Name, body)
	return b.end("replace", string(was.Name))
}

func (b *bucket) Delete(ctx context.Context, name store.Name) error {
	if err := b.begin(ctx, "delete", string(name)); err != nil {
		return err
	}
	b.mu.Lock()
	delete(b.objects, name)
	b.mu.Unlock()
	return b.end("delete", string(name))
}

func (b *bucket) Revoke(ctx context.Context, lease ivd.LeaseID) error {
	return b.begin(ctx, "revoke", string(lease))
}

type pending struct {
	b      *bucket
	name   store.Name
	body   []byte
	expiry time.Time
}

func (b *bucket) Prepare(ctx context.Context, _ ivd.LeaseID, name store.Name, body []byte, expiry time.Duration) (store.Pending, error) {
	if err := b.begin(ctx, "prepare", string(name)); err != nil {
		return nil, err
	}
	return &pending{b, name, body, b.now().Add(expiry)}, nil
}

func (p *pending) Send(ctx context.Context) error {
	if err := p.b.begin(ctx, "send", string(p.name)); err != nil {
		return err
	}
	if !p.b.late && p.b.now().After(p.expiry) {
		return ivd.Errorf(ivd.Expired, "the request has expired")
	}
	if _, err := p.b.find(p.name); err == nil && !p.b.careless {
		return ivd.Errorf(ivd.Exists, "%s is there", p.name)
	}
	p.b.put(p.name, p.body)
	return p.b.end("send", string(p.name))
}

func (*pending) Discard() {}

func (b *bucket) Lock(_ context.Context, name store.Name, _ time.Time) error {
	return ivd.Errorf(ivd.Unsupported, "lock %s: nothing is locked here", name)
}

func (b *bucket) LockedUntil(context.Context, store.Name) (time.Time, error) { return time.Time{}, nil }

func (b *bucket) Properties() store.Properties {
	return store.Properties{ConditionalCreate: true, Connections: 4, ListPage: b.page}
}

func (b *bucket) String() string { return "memory" }

// did is what was asked of the bucket since the log was cleared.
func (b *bucket) did() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.log)
}

func (b *bucket) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.log = nil
}

// fail answers calls of this kind on names with this prefix with an outage.
func (b *bucket) fail(op, prefix string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fault = func(o, name string) error {
		if o == op && strings.HasPrefix(name, prefix) {
			return errOutage
		}
		return nil
	}
}

func (b *bucket) heal() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fault, b.after = nil, nil
}

var errOutage = ivd.Errorf(ivd.Transient, "connection reset")

// made makes a repository in a bucket.
func made(t *testing.T) (*bucket, *repo.Repository) {
	t.Helper()
	b := newBucket()
	r, err := repo.Init(t.Context(), b, repo.InitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return b, r
}

func lease(t *testing.T, r *repo.Repository, kind repo.LeaseSpec) repo.Lease {
	t.Helper()
	l, err := r.OpenLease(t.Context(), kind)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func wantKind(t *testing.T, err error, want ivd.Kind, words ...string) {
	t.Helper()
	if err == nil || ivd.KindOf(err) != want {
		t.Fatalf("error of kind %q, want %q: %v", ivd.KindOf(err), want, err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Fatalf("the error does not say %q: %v", w, err)
		}
	}
}
