package coordtest

// Calls counts what vSphere is asked while f runs, over the wire.
func (b *Bench) Calls(f func()) int {
	b.Helper()
	before := b.Wire.counted()
	f()
	return b.Wire.counted() - before
}

func (w *Wire) counted() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls
}

// Messages counts what the queue's server receives and sends while f runs.
func (b *Bench) Messages(f func()) int64 {
	b.Helper()
	before, err := b.Broker.Traffic()
	b.Must(err)
	f()
	after, err := b.Broker.Traffic()
	b.Must(err)
	return after.Messages - before.Messages
}
