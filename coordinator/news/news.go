// Package news carries what is being done for a request from the rooms that do it to
// whoever waits for it: a line for people, which the next one replaces. Rooms tell it
// to the context that they were given, and need not know whether anybody listens.
package news

import (
	"context"
	"fmt"
)

type listener struct{}

// To gives hear the news of what is done under the context; hear may be called by
// several goroutines at once.
func To(ctx context.Context, hear func(line string)) context.Context {
	return context.WithValue(ctx, listener{}, hear)
}

// Tell tells what is being done now.
func Tell(ctx context.Context, format string, args ...any) {
	if hear, ok := ctx.Value(listener{}).(func(string)); ok {
		hear(fmt.Sprintf(format, args...))
	}
}
