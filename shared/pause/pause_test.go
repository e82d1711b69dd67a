package pause_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"ivdmover/shared/pause"
)

func TestForWaitsOrSaysWhyNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		if err := pause.For(t.Context(), time.Hour); err != nil || time.Since(begun) != time.Hour {
			t.Errorf("waited %s: %v", time.Since(begun), err)
		}
		why := errors.New("why")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Minute, func() { cancel(why) })
		begun = time.Now()
		if err := pause.For(ctx, time.Hour); !errors.Is(err, why) || time.Since(begun) != time.Minute {
			t.Errorf("waited %s: %v, want a minute and the cause", time.Since(begun), err)
		}
	})
}
