package limit_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
	"ivdmover/shared/store/dir"
	"ivdmover/shared/store/limit"
	"ivdmover/shared/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		s, err := dir.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		return limit.New(s, limit.Table{Usual: limit.Rates{Upload: 1 << 34, Download: 1 << 34, Requests: 1 << 20}})
	})
}

// asked is a store that notes what it is asked, and when.
type asked struct {
	store.Store
	mu    sync.Mutex
	calls []call
}

type call struct {
	name  store.Name
	at    time.Time
	bytes int
}

func (a *asked) note(name store.Name, bytes int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls = append(a.calls, call{name, time.Now(), bytes})
}

func (a *asked) Put(_ context.Context, name store.Name, body []byte) error {
	a.note(name, len(body))
	return nil
}

func (a *asked) Get(_ context.Context, name store.Name, _ int64) (store.Object, error) {
	a.note(name, 0)
	return store.Object{Body: make([]byte, 1000)}, nil
}

func (a *asked) List(context.Context, string) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		for i := range 25 {
			if i%10 == 0 {
				a.note("list", 0)
			}
			if !yield(store.Info{}, nil) {
				return
			}
		}
	}
}

func (a *asked) Prepare(_ context.Context, _ ivd.LeaseID, name store.Name, body []byte, _ time.Duration) (store.Pending, error) {
	return sent{a, name, len(body)}, nil
}

func (a *asked) Properties() store.Properties { return store.Properties{ListPage: 10} }

type sent struct {
	a     *asked
	name  store.Name
	bytes int
}

func (s sent) Send(context.Context) error { s.a.note(s.name, s.bytes); return nil }
func (sent) Discard()                     {}

// within reports calls that begin before the limit allows it: in no span of time is
// more sent than a second's burst, what the span allows, and one request.
func within(t *testing.T, calls []call, rate int) {
	t.Helper()
	for i, first := range calls {
		sum, most := 0, 0
		for _, c := range calls[i:] {
			allowed := float64(rate)*(c.at.Sub(first.at).Seconds()+1) + 1
			if float64(sum) > allowed+float64(most) {
				t.Fatalf("%d bytes in %s, at a limit of %d a second and requests of %d", sum, c.at.Sub(first.at), rate, most)
			}
			sum += c.bytes
			most = max(most, c.bytes)
		}
	}
}

func TestAllRequestsShareTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate = 1 << 20
		a := &asked{}
		s := limit.New(a, limit.Table{Usual: limit.Rates{Upload: rate}})
		r := rand.New(rand.NewPCG(1, 2))
		start, total := time.Now(), 0
		var wg sync.WaitGroup
		for i := range 200 {
			body := make([]byte, r.IntN(4<<20))
			total += len(body)
			begin := time.Duration(r.IntN(120)) * time.Second
			wg.Go(func() {
				time.Sleep(begin)
				if err := s.Put(t.Context(), store.Name(fmt.Sprintf("data/%d", i)), body); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(a.calls) != 200 {
			t.Fatalf("%d of 200 were asked", len(a.calls))
		}
		within(t, a.calls, rate)
		if needs := time.Duration(total/rate) * time.Second; time.Since(start) > needs+130*time.Second {
			t.Errorf("%d bytes took %s", total, time.Since(start))
		}
	})
}

// An hour of silence saves no more than a second's worth.
func TestIdleSavesASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &asked{}
		s := limit.New(a, limit.Table{Usual: limit.Rates{Upload: 1 << 20}})
		if err := s.Put(t.Context(), "data/a", make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		start := time.Now()
		for range 10 {
			if err := s.Put(t.Context(), "data/a", make([]byte, 1<<20)); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start).Round(time.Second); took != 8*time.Second {
			t.Errorf("10 MiB took %s at 1 MiB a second", took)
		}
	})
}

func TestRequestsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &asked{}
		s := limit.New(a, limit.Table{Usual: limit.Rates{Requests: 5}})
		start := time.Now()
		for range 50 {
			if err := s.Put(t.Context(), "a", nil); err != nil {
				t.Fatal(err)
			}
		}
		// The first five are the burst, and one goes beyond it.
		if took := time.Since(start).Round(time.Second); took != 9*time.Second {
			t.Errorf("50 requests took %s at 5 a second", took)
		}
	})
}

func TestThoseThatWaitLongestAreFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &asked{}
		s := limit.New(a, limit.Table{Usual: limit.Rates{Upload: 1 << 20}})
		var want []store.Name
		var wg sync.WaitGroup
		for i := range 20 {
			name := store.Name(fmt.Sprintf("data/%d", i))
			want = append(want, name)
			wg.Go(func() {
				if err := s.Put(t.Context(), name, make([]byte, 2<<20)); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		var got []store.Name
		for _, c := range a.calls {
			got = append(got, c.name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("asked in the order %v", got)
		}
	})
}

// A wait that is cancelled has asked for nothing and costs those behind it nothing.
func TestWaitIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &asked{}
		s := limit.New(a, limit.Table{Usual: limit.Rates{Upload: 1 << 20}})
		start := time.Now()
		put := func(ctx context.Context, name store.Name, size int) error {
			return s.Put(ctx, name, make([]byte, size))
		}
		if err := put(t.Context(), "debt", 11<<20); err != nil { // one of them is the burst
			t.Fatal(err)
		}
		why := errors.New("no longer needed")
		head, endHead := context.WithCancelCause(t.Context())
		middle, endMiddle := context.WithCancelCause(t.Context())
		var wg sync.WaitGroup
		for name, ctx := range map[store.Name]context.Context{"head": head, "middle": middle} {
			wg.Go(func() {
				if err := put(ctx, name, 100<<20); !errors.Is(err, why) {
					t.Errorf("%s: %v", name, err)
				}
			})
			synctest.Wait()
		}
		wg.Go(func() {
			if err := put(t.Context(), "last", 1<<20); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		time.Sleep(time.Second)
		endMiddle(why)
		time.Sleep(time.Second)
		endHead(why)
		wg.Wait()
		if took := time.Since(start).Round(time.Second); len(a.calls) != 2 || a.calls[1].name != "last" || took != 10*time.Second {
			t.Errorf("%v after %s", a.calls, took)
		}
		ended, end := context.WithCancel(t.Context())
		end()
		if err := put(ended, "late", 1); ivd.KindOf(err) != ivd.Cancelled {
			t.Errorf("with a context that has ended: %v", err)
		}
	})
}

// A record does not wait for all packs that came before it, and packs do not wait for
// all records that came after them.
func TestSmallAndLargeTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &asked{}
		s := limit.New(a, limit.Table{Usual: limit.Rates{Upload: 1 << 20}})
		var wg sync.WaitGroup
		put := func(name store.Name, size int) {
			wg.Go(func() {
				if err := s.Put(t.Context(), name, make([]byte, size)); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		for i := range 10 {
			put(store.Name(fmt.Sprintf("data/%d", i)), 16<<20)
		}
		for i := range 10 {
			put(store.Name(fmt.Sprintf("leases/%d", i)), 300)
		}
		wg.Wait()
		for i := 1; i+1 < len(a.calls); i++ {
			if (a.calls[i].bytes == 300) == (a.calls[i+1].bytes == 300) {
				t.Fatalf("two of a kind in a row: %v", a.calls)
			}
		}
	})
}

func TestSendIsNotKeptWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &asked{}
		s := limit.New(a, limit.Table{Usual: limit.Rates{Upload: 1000, Requests: 1}})
		start := time.Now()
		for range 3 {
			p, err := s.Prepare(t.Context(), "l", "points/a", make([]byte, 10_000), time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			before := time.Now()
			if err := p.Send(t.Context()); err != nil || time.Since(before) != 0 {
				t.Errorf("sent after %s, %v", time.Since(before), err)
			}
		}
		if took := time.Since(start).Round(time.Second); took != 19*time.Second {
			t.Errorf("all took %s", took)
		}
	})
}

func TestWhatIsReadIsPaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &asked{}
		s := limit.New(a, limit.Table{Usual: limit.Rates{Download: 100}})
		start := time.Now()
		for range 3 { // of 1,000 bytes each
			if _, err := s.Get(t.Context(), "points/a", 1000); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start).Round(time.Second); took != 19*time.Second {
			t.Errorf("took %s", took)
		}
	})
}

func TestEachPageOfAListIsARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &asked{}
		s := limit.New(a, limit.Table{Usual: limit.Rates{Requests: 1}})
		start, n := time.Now(), 0
		for _, err := range s.List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if took := time.Since(start).Round(time.Second); n != 25 || took != time.Second { // the first is the burst, one goes beyond it
			t.Errorf("%d objects in %s", n, took)
		}
		ctx, end := context.WithTimeout(t.Context(), time.Millisecond)
		defer end()
		var failed error
		for _, err := range s.List(ctx, "") {
			failed = err
		}
		if ivd.KindOf(failed) != ivd.Transient {
			t.Errorf("a list whose context ends: %v", failed)
		}
	})
}

// Who waits when other hours begin waits by the limits of those.
func TestHoursChangeUnderAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // it is midnight, UTC
		a := &asked{}
		s := limit.New(a, limit.Table{
			Usual: limit.Rates{},
			Hours: []limit.Hours{{From: 0, To: 10, Rates: limit.Rates{Upload: 1}}},
			Zone:  time.UTC,
		})
		start := time.Now()
		for range 2 {
			if err := s.Put(t.Context(), "data/a", make([]byte, 1<<20)); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took != 10*time.Minute {
			t.Errorf("waited for %s", took)
		}
	})
}
