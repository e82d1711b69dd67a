package supervise

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

// hungAfter is how long a thread may sleep in the kernel, and not be woken, before its
// process counts as hung: a disk or a file server that does not answer.
const hungAfter = 5 * time.Minute

// threads watches the threads of this process that sleep uninterruptibly.
type threads struct {
	root   string // of /proc/self/task
	now    func() time.Time
	asleep map[string]sleep // by the thread's number
}

// sleep is one uninterruptible sleep of a thread.
type sleep struct {
	switches string // how often it has given the processor up: another number, another sleep
	since    time.Time
}

func newThreads() *threads { return &threads{root: "/proc/self/task", now: time.Now} }

// hang reports whether a thread hangs in the kernel.
func (t *threads) hang() bool {
	files, err := filepath.Glob(filepath.Join(t.root, "*", "status"))
	if err != nil {
		return false
	}
	now, hung, asleep := t.now(), false, map[string]sleep{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || !strings.HasPrefix(field(string(text), "State"), "D") {
			continue
		}
		s := sleep{switches: field(string(text), "voluntary_ctxt_switches"), since: now}
		if before, known := t.asleep[file]; known && before.switches == s.switches {
			s.since = before.since
		}
		asleep[file] = s
		hung = hung || now.Sub(s.since) >= hungAfter
	}
	t.asleep = asleep
	return hung
}

func field(text, name string) string {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
