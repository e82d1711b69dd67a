package engine_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/shared/pause"
)

// A run that waits since no mover takes jobs says so after a while, to who watches it,
// to who asks, and once in the log; a mover that comes ends that.
func TestRunSaysThatItWaitsForMovers(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	b.Disk("a", 4)
	c, _ := b.Serving("one")
	v := b.Begin(c, backup.Request{All: true})
	v = b.Until(c, v.ID, func(v engine.View) bool { return v.Waiting != "" })
	if !strings.Contains(v.Waiting, "no mover takes jobs: 0 are connected") || !strings.Contains(v.Waiting, "start ivd-mover") {
		t.Errorf("the run waits: %q", v.Waiting)
	}
	runs, _, err := c.Engine.Runs(t.Context())
	if b.Must(err); len(runs) != 1 || runs[0].Waiting != v.Waiting {
		t.Errorf("listed: %+v", runs)
	}
	other := b.Coordinator("two") // which sees the owner's beats
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for seen := ""; seen != v.Waiting; {
		r, err := other.Engine.Run(ctx, v.ID)
		b.Must(err)
		b.Must(pause.For(ctx, 10*time.Millisecond))
		seen = r.Waiting
	}
	b.Mover("m1")
	if v = b.Until(c, v.ID, coordtest.Ended); v.Waiting != "" || v.State != engine.Done {
		t.Errorf("%s, and it waits: %q", v.State, v.Waiting)
	}
	if waits, again := b.Said.Lines("runs wait", "no mover takes jobs"), b.Said.Lines("movers take jobs again"); len(waits) != 1 || len(again) != 1 {
		t.Errorf("the log says %q and %q, want each once", waits, again)
	}
}
