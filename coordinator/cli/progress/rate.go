package progress

import (
	"time"

	"ivdmover/shared/telemetry"
)

// window is the span over which a rate is taken: long enough to be calm, short
// enough to show that something stalls.
const window = 5 * time.Second

// rate measures how fast a figure grows.
type rate struct{ samples []sample }

type sample struct {
	at time.Time
	n  int64
}

// add notes the figure. Where it falls, as after a mover's death, when only
// sealed batches count, measuring begins anew.
func (r *rate) add(at time.Time, n int64) {
	if len(r.samples) > 0 && n < r.samples[len(r.samples)-1].n {
		r.samples = r.samples[:0]
	}
	r.samples = append(r.samples, sample{at, n})
	old := 0
	for old < len(r.samples)-2 && at.Sub(r.samples[old+1].at) >= window {
		old++
	}
	r.samples = append(r.samples[:0], r.samples[old:]...)
}

// perSecond is the growth over the window.
func (r *rate) perSecond() float64 {
	if len(r.samples) < 2 {
		return 0
	}
	first, last := r.samples[0], r.samples[len(r.samples)-1]
	took := last.at.Sub(first.at).Seconds()
	if took <= 0 {
		return 0
	}
	return float64(last.n-first.n) / took
}

func perSecond(bytes float64) string { return telemetry.Bytes(int64(bytes)) + "/s" }
