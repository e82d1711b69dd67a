package catalogue

import (
	"reflect"
	"testing"
	"time"
)

// A point is read from its value with all its times, and without those that it lacks.
func TestTimesOfValues(t *testing.T) {
	for _, want := range []Point{
		{Time: sunday, SealedAt: sunday.Add(time.Hour), Protected: sunday.Add(30 * 24 * time.Hour)},
		{Time: sunday, SealedAt: sunday.Add(time.Hour)},
	} {
		r := newReader()
		r.b = appendPoint(nil, want)
		got := r.point()
		want.Disk = got.Disk
		if r.bad || len(r.b) > 0 || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}
