package pipeline

import (
	"sync"

	"ivdmover/shared/ivd"
)

// Meter counts what one attempt at a job does, for those who watch it. The zero
// Meter counts; Touch may be set before it is used. Safe for concurrent use.
type Meter struct {
	// Touch is called whenever a call on the disk or on the store has completed:
	// the sign that the job is alive.
	Touch func()

	mu     sync.Mutex
	total  ivd.Stats
	sealed ivd.Stats
}

// Total is what the attempt has done, Unsealed the part of it that no checkpoint
// names yet.
func (m *Meter) Total() ivd.Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.total
}

// Unsealed is what is lost when the attempt ends now.
func (m *Meter) Unsealed() ivd.Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return less(m.total, m.sealed)
}

func (m *Meter) add(s ivd.Stats) {
	m.mu.Lock()
	m.total.Add(s)
	m.mu.Unlock()
}

func (m *Meter) seal() {
	m.mu.Lock()
	m.sealed = m.total
	m.mu.Unlock()
}

func (m *Meter) tick() {
	if m.Touch != nil {
		m.Touch()
	}
}

// less is a without b.
func less(a, b ivd.Stats) ivd.Stats {
	return ivd.Stats{
		DiskBytes:       a.DiskBytes - b.DiskBytes,
		ReadBytes:       a.ReadBytes - b.ReadBytes,
		ZeroBytes:       a.ZeroBytes - b.ZeroBytes,
		DedupBytes:      a.DedupBytes - b.DedupBytes,
		NewBytes:        a.NewBytes - b.NewBytes,
		CompressedBytes: a.CompressedBytes - b.CompressedBytes,
		StoredBytes:     a.StoredBytes - b.StoredBytes,
		WrittenBytes:    a.WrittenBytes - b.WrittenBytes,
		Packs:           a.Packs - b.Packs,
		Asked:           a.Asked - b.Asked,
		AskedLists:      a.AskedLists - b.AskedLists,
	}
}
