package api

import (
	"context"
	"iter"
	"sync"
	"time"

	"ivdmover/shared/pause"
)

// gapAfter is the pause after a change was shown: longer after one of many disks, so
// that a run over a whole estate does not fill the line with itself.
func gapAfter(c Change) time.Duration {
	return eventGap + time.Duration(len(c.Disks))*eventGapDisk
}

// stream hands on what changes yields, with gapAfter between two; what comes in
// between is put together to one, and the last one is never lost. It calls alive
// when there was nothing for eventIdle. It returns when changes has ended, when ctx
// ends, or when a call fails; whoever yields has returned by then.
func stream(ctx context.Context, changes iter.Seq2[Change, error], event func(Change, error) error, alive func() error) {
	ctx, cancel := context.WithCancel(ctx)
	box := mailbox{filled: make(chan struct{}, 1)}
	gathered := make(chan struct{})
	go func() {
		defer close(gathered)
		box.gather(ctx, changes)
	}()
	defer func() { cancel(); <-gathered }()

	idle := time.NewTicker(eventIdle)
	defer idle.Stop()
	for {
		select {
		case _, more := <-box.filled:
			c, err := box.take()
			switch {
			case ctx.Err() != nil, c == nil && err == nil && !more:
				return
			case c != nil && event(*c, nil) != nil:
				return
			case err != nil:
				_ = event(Change{}, err) // it ends either way
				return
			}
			idle.Reset(eventIdle)
			if c != nil && !c.Run.State.Ended() && pause.For(ctx, gapAfter(*c)) != nil {
				return
			}
		case <-idle.C:
			if alive() != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// mailbox holds what has changed since it was emptied last.
type mailbox struct {
	filled chan struct{} // has a token when there is something; closed by gather at the end

	mu    sync.Mutex
	run   *Run     // guarded by mu, like all below
	order []string // keys of disks
	disks map[string]RunDisk
	err   error
}

// gather puts all changes into the mailbox.
func (m *mailbox) gather(ctx context.Context, changes iter.Seq2[Change, error]) {
	defer close(m.filled)
	for c, err := range changes {
		if ctx.Err() != nil {
			return
		}
		m.put(c, err)
		select {
		case m.filled <- struct{}{}:
		default: // the token is there already
		}
		if err != nil {
			return
		}
	}
}

func (m *mailbox) put(c Change, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.err = err
		return
	}
	m.run = &c.Run
	if m.disks == nil {
		m.disks = make(map[string]RunDisk, len(c.Disks))
	}
	for _, d := range c.Disks {
		if _, known := m.disks[d.Key]; !known {
			m.order = append(m.order, d.Key)
		}
		m.disks[d.Key] = d
	}
}

// take empties the mailbox; nil: nothing has changed.
func (m *mailbox) take() (*Change, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var c *Change
	if m.run != nil {
		c = &Change{Run: *m.run}
		for _, k := range m.order {
			c.Disks = append(c.Disks, m.disks[k])
		}
	}
	err := m.err
	m.run, m.order, m.disks, m.err = nil, nil, nil, nil
	return c, err
}
