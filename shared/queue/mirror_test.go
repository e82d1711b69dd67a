package queue_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
	"ivdmover/shared/queue"
)

func countersBelow(b *queue.Bucket, prefix string) *queue.Mirror[counter] {
	return queue.NewMirror(b, prefix, func(e queue.Entry) (c counter, ok bool) { return c, e.Decode(&c) == nil })
}

// mirrored waits for a mirror to have the values.
func mirrored(ctx context.Context, t *testing.T, m *queue.Mirror[counter], want ...int) {
	t.Helper()
	for {
		all, err := m.All(ctx)
		if err != nil && ivd.KindOf(err) != ivd.Transient { // the server may still be away
			t.Fatal(err)
		}
		got := []int{}
		for _, c := range all {
			got = append(got, c.N)
		}
		if slices.Equal(got, want) {
			return
		}
		if pause.For(ctx, time.Millisecond) != nil {
			t.Fatalf("mirrored are %v, want %v", got, want)
		}
	}
}

// A mirror has what is there when it is asked first, and then what is written and
// deleted, also while the server was away; what does not decode is left out.
func TestMirror(t *testing.T) {
	h := newHouse(t)
	b := h.connect(queue.Options{Patience: 10 * time.Second}).State()
	ctx := within(t, time.Minute)
	put(ctx, t, b, "m.2", 2)
	put(ctx, t, b, "m.1", 1)
	put(ctx, t, b, "other.1", 9)
	_, err := b.Put(ctx, "m.0", "no counter")
	must(t, err)
	m := countersBelow(b, "m")
	all, err := m.All(ctx)
	must(t, err)
	if len(all) != 2 || all[0].N != 1 || all[1].N != 2 {
		t.Fatalf("at first %v", all)
	}
	put(ctx, t, b, "m.3", 3)
	must(t, b.Delete(ctx, "m.1"))
	mirrored(ctx, t, m, 2, 3)
	h.stop()
	h.start()
	must(t, b.Delete(ctx, "m.2"))
	must(t, b.Delete(ctx, "m.3"))
	put(ctx, t, b, "m.4", 4)
	mirrored(ctx, t, m, 4)
}

// While the server is away a mirror does not give what may be out of date for what is.
func TestMirrorOfAServerThatIsAway(t *testing.T) {
	h := newHouse(t)
	b := h.connect(queue.Options{Patience: 200 * time.Millisecond}).State()
	ctx := within(t, time.Minute)
	put(ctx, t, b, "m.1", 1)
	m := countersBelow(b, "m")
	mirrored(ctx, t, m, 1)
	h.stop()
	for {
		all, err := m.All(ctx)
		if ivd.KindOf(err) == ivd.Transient {
			break
		}
		if pause.For(ctx, time.Millisecond) != nil {
			t.Fatalf("%v, %v", all, err)
		}
	}
	h.start()
	mirrored(ctx, t, m, 1)
}
