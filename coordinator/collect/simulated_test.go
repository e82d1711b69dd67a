package collect_test

import (
	"context"
	"encoding/binary"
	"iter"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store"
	"ivdmover/shared/store/dir"
)

// simulated is a store that says of data packs that they are there, of which none takes
// space: their ids are numbers. It measures what memory is in use while it is worked with.
type simulated struct {
	store.Store
	r *repo.Repository

	mu     sync.Mutex
	packs  int   // numbered from 0
	needed int   // the first of them
	lost   []int // of those that are needed
	calls  int
	base   uint64
	most   uint64 // bytes in use, more than base
}

// newSimulated makes one in a folder, with a repository.
func newSimulated(t testing.TB) *simulated {
	t.Helper()
	folder, err := dir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = folder.Close() })
	s := &simulated{Store: folder}
	if s.r, err = repo.Init(t.Context(), s, repo.InitOptions{}); err != nil {
		t.Fatal(err)
	}
	return s
}

// lease opens a lease for the run that writes.
func (s *simulated) lease(t testing.TB) repo.Lease {
	t.Helper()
	l, err := s.r.OpenLease(t.Context(), repo.LeaseSpec{Kind: repo.WriteLease, Owner: "a test", Run: "run-1"})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// packID is the id of a simulated pack. Of each folder of the store there are as many.
func packID(n int) (id ivd.PackID) {
	binary.LittleEndian.PutUint64(id[:], uint64(n)+1)
	id[31] = 1
	return id
}

func packNumber(id ivd.PackID) (n int, ok bool) {
	n = int(binary.LittleEndian.Uint64(id[:])) - 1
	return n, id == packID(n)
}

// measure looks at the memory in use, at one of so many calls.
func (s *simulated) measure(oneOf int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls++; s.calls%oneOf == 0 {
		if use := inUse(); use > s.base {
			s.most = max(s.most, use-s.base)
		}
	}
}

// since returns what was in use at most, and begins to measure anew.
func (s *simulated) since() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	most := s.most
	s.base, s.most, s.calls = inUse(), 0, 0
	return most
}

func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func (s *simulated) Put(ctx context.Context, name store.Name, body []byte) error {
	s.measure(16)
	return s.Store.Put(ctx, name, body)
}

func (s *simulated) ReadAt(ctx context.Context, name store.Name, p []byte, offset int64) error {
	s.measure(16)
	return s.Store.ReadAt(ctx, name, p, offset)
}

func (s *simulated) Delete(ctx context.Context, name store.Name) error {
	s.measure(s.packs/32 + 1)
	id, err := ivd.ParsePackID(string(name[strings.LastIndex(string(name), "/")+1:]))
	if n, ok := packNumber(id); err == nil && ok { // of whichever kind: the list does not know
		if s.mu.Lock(); n < s.needed {
			s.lost = append(s.lost, n)
		}
		s.mu.Unlock()
		return nil
	}
	return s.Store.Delete(ctx, name)
}

func (s *simulated) List(ctx context.Context, prefix string) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		for info, err := range s.Store.List(ctx, prefix) {
			if !yield(info, err) {
				return
			}
		}
		if !strings.HasPrefix(prefix, "data/") {
			return
		}
		for n := range s.packs {
			if n%(s.packs/16+1) == 0 {
				s.measure(1)
			}
			name := s.r.PackName(format.DataPack, packID(n))
			if strings.HasPrefix(string(name), prefix) && !yield(store.Info{Name: name, Size: 16 << 20, Modified: time.Unix(0, 0)}, nil) {
				return
			}
		}
	}
}
