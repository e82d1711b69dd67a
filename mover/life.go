package main

import (
	"sync"
	"sync/atomic"
	"time"

	"ivdmover/mover/worker"
	"ivdmover/shared/supervise"
)

// loadLimit is how long loading and initialising VDDK may take: it waits for nothing
// but this machine.
const loadLimit = 5 * time.Minute

// life is what the supervisor is told of its child.
type life struct {
	started time.Time
	loaded  atomic.Bool
	worker  atomic.Pointer[worker.Worker]
	relieve chan struct{} // closed when another child should take over what this one has not begun
	once    sync.Once
}

// live begins to give signs of life.
func live() *life {
	l := &life{started: time.Now(), relieve: make(chan struct{})}
	go supervise.Speak().Live(l.sign, l.relieve)
	return l
}

// sign is how many disks the process holds, and whether it is at work.
func (l *life) sign() (slots int, lives bool) {
	if w := l.worker.Load(); w != nil {
		slots = w.Holds()
	}
	return slots, l.loaded.Load() || time.Since(l.started) < loadLimit
}

func (l *life) askRelief() { l.once.Do(func() { close(l.relieve) }) }
