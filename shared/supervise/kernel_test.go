package supervise

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A thread that sleeps in the kernel, and is not woken, makes its process a hung one;
// one that is woken now and then does not, nor one that sleeps in order.
func TestAThreadThatHangsInTheKernel(t *testing.T) {
	root, now := t.TempDir(), time.Now()
	threads := &threads{root: root, now: func() time.Time { return now }}
	put := func(tid int, state string, switches int) {
		t.Helper()
		dir := filepath.Join(root, fmt.Sprint(tid))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("Name:\tivd-mover\nState:\t%s\nvoluntary_ctxt_switches:\t%d\nnonvoluntary_ctxt_switches:\t%d\n", state, switches, 7)
		if err := os.WriteFile(filepath.Join(dir, "status"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 { // busy, and asleep in order, for long
		put(1, "D (disk sleep)", i)
		put(2, "S (sleeping)", 5)
		if threads.hang() {
			t.Fatal("nothing hangs")
		}
		now = now.Add(10 * time.Second)
	}
	put(3, "D (disk sleep)", 1)
	if threads.hang() {
		t.Fatal("it has only begun")
	}
	now = now.Add(hungAfter - time.Second)
	put(1, "S (sleeping)", 100)
	if threads.hang() {
		t.Fatal("before its time")
	}
	now = now.Add(time.Second)
	if !threads.hang() {
		t.Fatal("a thread hangs")
	}
	put(3, "S (sleeping)", 2)
	if threads.hang() {
		t.Fatal("it was woken")
	}
	if newThreads().hang() {
		t.Error("this very process hangs")
	}
}
