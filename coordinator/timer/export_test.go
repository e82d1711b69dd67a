package timer

import (
	"context"
	"time"
)

// The times that tests let pass.
const (
	SilentOwner = silentOwner
	RetryEvery  = retryEvery
	AbleEvery   = ableEvery
)

// Look looks at the timer of a name once.
func (r *Room) Look(ctx context.Context, name string) (time.Duration, error) {
	for _, s := range r.timers {
		if s.Name == name {
			return r.look(ctx, s)
		}
	}
	panic("no timer " + name)
}

// Beat has the owner of work show it so often.
func (r *Room) Beat(every time.Duration) { r.beat = every }
