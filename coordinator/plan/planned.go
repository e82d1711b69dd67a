package plan

import (
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// Planned is how many bytes of the disk a backup's job wants read. Where only VDDK
// knows what is allocated it is none.
func Planned(j job.Job) int64 {
	n := int64(0)
	for _, w := range j.Backup.Spans {
		n += PlannedOf(j.Geometry, w)
	}
	return n
}

// PlannedOf is how many bytes of one span are wanted.
func PlannedOf(g ivd.Geometry, w job.SpanWork) int64 {
	n := int64(w.Read.Count()) * g.ChunkSize
	if last := g.Chunks() - 1; last.Span() == w.Span && w.Read.Has(int(last-w.Span.FirstChunk())) {
		n -= g.ChunkSize - g.Chunk(last).Length
	}
	return n
}
