package engine

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"ivdmover/shared/ivd"
)

func TestAgain(t *testing.T) {
	cases := []struct {
		kind     ivd.Kind
		attempts int
	}{
		{ivd.Transient, awayAttempts},
		{ivd.Unknown, stepAttempts},
		{ivd.Locked, stepAttempts},
		{ivd.Permanent, 1},
		{ivd.Denied, 1},
		{ivd.NotFound, 1},
		{ivd.Full, 1},
	}
	for _, c := range cases {
		synctest.Test(t, func(t *testing.T) {
			n, fails := 0, ivd.Errorf(c.kind, "no")
			err := again(t.Context(), func() error { n++; return fails })
			if !errors.Is(err, fails) || n != c.attempts {
				t.Errorf("kind %q: %d attempts and %v, want %d", c.kind, n, err, c.attempts)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		n := 0
		if err := again(t.Context(), func() error {
			if n++; n < 3 {
				return ivd.Errorf(ivd.Transient, "away")
			}
			return nil
		}); err != nil || n != 3 {
			t.Errorf("%d attempts, %v", n, err)
		}
	})
	synctest.Test(t, func(t *testing.T) { // a vCenter that is away for three minutes is waited for
		back := time.Now().Add(3 * time.Minute)
		if err := again(t.Context(), func() error {
			if time.Now().Before(back) {
				return ivd.Errorf(ivd.Transient, "away")
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
	synctest.Test(t, func(t *testing.T) { // a secret that is withheld is waited for, and told of once
		n, told := 0, 0
		err := againTelling(t.Context(), func() error {
			if n++; n < 300 {
				return ivd.Errorf(ivd.Withheld, "refused")
			}
			return nil
		}, func(error) { told++ })
		if err != nil || n != 300 || told != 1 {
			t.Errorf("%d attempts, %v, told %d times", n, err, told)
		}
	})
	synctest.Test(t, func(t *testing.T) { // the cause of the end, whatever it made of the last attempt
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second/2, func() { cancel(errCancelled) })
		err := again(ctx, func() error { return ivd.Errorf(ivd.Transient, "away") })
		if !errors.Is(err, errCancelled) {
			t.Errorf("%v", err)
		}
	})
}
