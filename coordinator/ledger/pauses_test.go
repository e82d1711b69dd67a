package ledger

import (
	"testing"
	"time"
)

func TestPausesGrowToAMinute(t *testing.T) {
	for n := 1; n < 100; n++ {
		want := time.Minute
		if n <= 6 {
			want = time.Second << (n - 1)
		}
		for range 20 {
			if d := Pauses.After(n); d < want*3/4 || d > want {
				t.Fatalf("after failure %d: %s, want about %s", n, d, want)
			}
		}
	}
}
