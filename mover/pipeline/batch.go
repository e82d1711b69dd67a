package pipeline

import (
	"time"

	"ivdmover/shared/budget"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// Batch is a checkpoint: what a job has come to. Everything that it names is
// stored.
type Batch struct {
	Next     ivd.SpanIndex // spans before it are final
	Pages    []ivd.PageRef // of all complete pages of the job, those of zeros left out
	Nodes    []ivd.NodeRef // of the page begun; spans that are the parent's are left out
	SealedAt time.Time     // by the store's clock; zero when this batch stored nothing
	// Incarnation of the repository in which SealedAt counts.
	Incarnation ivd.IncarnationID
	Stats       ivd.Stats    // of this batch alone
	Damaged     []ivd.Damage // found since the batch before: packs of the parent, which it does not build on
	Unproven    []ivd.PackID // likewise, of a proof: packs that are not proven
	Done        bool         // it is the job's last one
}

// Limits say when a batch is sealed, always at a span's end. Zero values mean the
// defaults.
type Limits struct {
	Bytes int64         // of new data, before compression: eight packs, at least 256 MiB
	Packs int           // 64
	Time  time.Duration // 30 s
}

func (l *Limits) defaults(packSize int) {
	if l.Bytes <= 0 {
		l.Bytes = max(256<<20, 8*int64(packSize))
	}
	if l.Packs <= 0 {
		l.Packs = 64
	}
	if l.Time <= 0 {
		l.Time = 30 * time.Second
	}
}

// entry is a chunk of a span before its node is written. Its pack has no id as
// long as it is being filled. The zero entry is a chunk of zeros.
type entry struct {
	id             ivd.ContentID
	pack           *pack
	offset, length uint32
}

// pack is a data pack that entries name: one of this job, or an older one.
type pack struct {
	ref    ivd.PackRef
	slot   *budget.Slot[*format.Pack] // while it is being filled or stored
	stored chan struct{}              // of this job's: closed when it is stored, and ref and size are set
	size   int
}

// built is a span whose chunks are all known.
type built struct {
	span    *span
	entries []entry // nil: taken over from the parent, or zeros
}
