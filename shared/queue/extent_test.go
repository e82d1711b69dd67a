package queue_test

import (
	"reflect"
	"testing"
	"time"

	"ivdmover/shared/queue"
)

// Whoever observes a bucket hears of each write when it is stored, and of no other one;
// the server knows no later one.
func TestWritesAreObserved(t *testing.T) {
	b := newHouse(t).connect(queue.Options{}).State()
	var heard []queue.Entry
	b.Observe(func(e queue.Entry) { heard = append(heard, e) })
	ctx := within(t, 20*time.Second)
	first, err := b.Create(ctx, "c.one", 1)
	must(t, err)
	if _, err := b.Create(ctx, "c.one", 2); err == nil {
		t.Fatal("made twice")
	}
	second, err := b.Update(ctx, "c.one", 3, first)
	must(t, err)
	third, err := b.Put(ctx, "c.two", 4)
	must(t, err)
	must(t, b.Delete(ctx, "c.one"))
	x, err := b.Extent(ctx)
	must(t, err)
	want := []queue.Entry{{Key: "c.one", Revision: first, Value: []byte("1")}, {Key: "c.one", Revision: second, Value: []byte("3")}, {Key: "c.two", Revision: third, Value: []byte("4")}, {Key: "c.one", Revision: x.Last}}
	if !reflect.DeepEqual(heard, want) {
		t.Errorf("heard %v, want %v", heard, want)
	}
	for key, want := range map[string]uint64{"c.one": x.Last, "c.two": third, "c.three": 0} {
		if got, err := b.Latest(ctx, key); err != nil || got != want {
			t.Errorf("the latest of %s is %d, want %d: %v", key, got, want, err)
		}
	}
}
