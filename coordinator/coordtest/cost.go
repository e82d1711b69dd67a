package coordtest

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
