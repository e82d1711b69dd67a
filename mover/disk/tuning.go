package disk

// Tuning is how a disk is best moved by a transport.
type Tuning struct {
	Depth   int   // requests in flight on its one handle
	Request int64 // bytes of a request at most, whole sectors
}

// NBD's requests are truly asynchronous, and each takes one of the buffers that
// settings.go asks for, four of 1 MiB on each side: a request fills one, and twice
// as many as there are keep all of them full. SAN, HotAdd and files are done one at
// a time whatever is asked, so one more waits that none is missed; over SAN and
// HotAdd the way to the storage and back is waited for each time, and a request of
// 2 MiB halves how often. Beyond that nobody found a gain.
var (
	network = Tuning{Depth: 8, Request: 1 << 20}
	device  = Tuning{Depth: 2, Request: 2 << 20}
	tunings = map[string]Tuning{
		nbdssl: network,
		nbd:    network,
		san:    device,
		hotadd: device,
		file:   {Depth: 2, Request: 1 << 20},
	}
)

// tuningOf is the transport's; one that is not known is taken for NBD.
func tuningOf(transport string) Tuning {
	if t, ok := tunings[transport]; ok {
		return t
	}
	return network
}

// LargestRequest is that of a list of transports: what memory is to be there for.
func LargestRequest(transports []string) int64 {
	n := int64(0)
	for _, t := range transports {
		n = max(n, tuningOf(t).Request)
	}
	return n
}
