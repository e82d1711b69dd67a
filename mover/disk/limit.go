package disk

import (
	"context"
	"time"
)

// limits is how long each call of the library may take before it is given up. VDDK
// has time limits of its own for the network, which are shorter (settings.go): who
// exceeds these has hung.
type limits struct {
	open     time.Duration // connecting included
	transfer time.Duration // one read or write
	flush    time.Duration
	query    time.Duration
	close    time.Duration // disconnecting apart
	access   time.Duration // each VM that the disk is attached to is asked
	cleanup  time.Duration
}

var defaultLimits = limits{
	open:     3 * time.Minute,
	transfer: 2 * time.Minute,
	flush:    2 * time.Minute,
	query:    2 * time.Minute,
	close:    time.Minute,
	access:   5 * time.Minute,
	cleanup:  3 * time.Minute,
}

// LongestCall is how long a disk may be silent without having hung.
const LongestCall = 4 * time.Minute

// within is a context for one call. Its end is the call's own: a job that is
// cancelled waits for a call that has begun, since that cannot be undone.
func within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), d)
}
