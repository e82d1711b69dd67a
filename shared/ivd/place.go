package ivd

// PackRef names a pack, and what its keys are derived from where the repository is
// encrypted: who wrote it, and its nonce. Both stand in the pack's header too.
type PackRef struct {
	Pack   PackID   `json:"pack"`
	Writer WriterID `json:"writer"`
	Nonce  Nonce    `json:"nonce"`
}

// Place is where a frame lies: its pack, and the bytes from its header to the
// end of its tag. The zero Place is nowhere.
type Place struct {
	PackRef
	Offset uint32 `json:"offset"`
	Length uint32 `json:"length"`
}

// IsZero reports whether the place was never set.
func (p Place) IsZero() bool { return p.Pack.IsZero() }

// PageRef names a page of a disk: its content and where that lies. A page of a
// disk that no list of PageRefs names is all zero.
type PageRef struct {
	Page  PageIndex `json:"page"`
	ID    ContentID `json:"id"`
	Place Place     `json:"place"`
}

// NodeRef names the node of a span. A zero ID says that the span is all zero and
// no node was written.
type NodeRef struct {
	Span  SpanIndex `json:"span"`
	ID    ContentID `json:"id"`
	Place Place     `json:"place"`
}

// ContentRef names a content, and where it lies.
type ContentRef struct {
	ID    ContentID
	Place Place
}
