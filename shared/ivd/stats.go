package ivd

// Stats counts bytes, of sealed batches only where it is part of a record.
type Stats struct {
	DiskBytes       int64 `json:"disk_bytes"`               // covered, read or not
	ReadBytes       int64 `json:"read_bytes"`               // asked of VDDK
	ZeroBytes       int64 `json:"zero_bytes"`               // read and found zero
	DedupBytes      int64 `json:"dedup_bytes"`              // read and already stored
	UnprovenBytes   int64 `json:"unproven_bytes,omitempty"` // of those already stored: in packs of other writers that nobody had proven
	NewBytes        int64 `json:"new_bytes"`                // read and stored, before compression
	CompressedBytes int64 `json:"compressed_bytes"`         // the same, after compression
	StoredBytes     int64 `json:"stored_bytes"`             // packs of both kinds, all of their bytes
	WrittenBytes    int64 `json:"written_bytes"`            // a restore's writes through VDDK
	Packs           int64 `json:"packs"`                    // objects stored
	Asked           int64 `json:"asked,omitempty"`          // requests that asked for packs to build on: whether they are there, in their length
	AskedLists      int64 `json:"asked_lists,omitempty"`    // of these, those for listings, which cost as much as a PUT
}

// Add adds o to s.
func (s *Stats) Add(o Stats) {
	s.DiskBytes += o.DiskBytes
	s.ReadBytes += o.ReadBytes
	s.ZeroBytes += o.ZeroBytes
	s.DedupBytes += o.DedupBytes
	s.UnprovenBytes += o.UnprovenBytes
	s.NewBytes += o.NewBytes
	s.CompressedBytes += o.CompressedBytes
	s.StoredBytes += o.StoredBytes
	s.WrittenBytes += o.WrittenBytes
	s.Packs += o.Packs
	s.Asked += o.Asked
	s.AskedLists += o.AskedLists
}

// Subtract takes o from s, which it was added to.
func (s *Stats) Subtract(o Stats) {
	s.DiskBytes -= o.DiskBytes
	s.ReadBytes -= o.ReadBytes
	s.ZeroBytes -= o.ZeroBytes
	s.DedupBytes -= o.DedupBytes
	s.UnprovenBytes -= o.UnprovenBytes
	s.NewBytes -= o.NewBytes
	s.CompressedBytes -= o.CompressedBytes
	s.StoredBytes -= o.StoredBytes
	s.WrittenBytes -= o.WrittenBytes
	s.Packs -= o.Packs
	s.Asked -= o.Asked
	s.AskedLists -= o.AskedLists
}
