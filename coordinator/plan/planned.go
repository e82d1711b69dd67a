package plan

import "ivdmover/shared/job"

// Planned is how many bytes of the disk a backup's job wants read. Where only VDDK
// knows what is allocated it is none.
func Planned(j job.Job) int64 {
	n := int64(0)
	for _, w := range j.Backup.Spans {
		n += int64(w.Read.Count()) * j.Geometry.ChunkSize
		if last := j.Geometry.Chunks() - 1; last.Span() == w.Span && w.Read.Has(int(last-w.Span.FirstChunk())) {
			n -= j.Geometry.ChunkSize - j.Geometry.Chunk(last).Length
		}
	}
	return n
}
