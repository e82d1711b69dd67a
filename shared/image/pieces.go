package image

import (
	"context"
	"iter"
	"sync/atomic"

	"ivdmover/shared/budget"
	"ivdmover/shared/ivd"
)

// Piece is a range of the disk with its content. Pieces never cross the end of a
// span.
type Piece struct {
	ivd.Extent
	// Data is the content, memory of the image's budget until Release; nil: zeros,
	// but where Options.Fill asks for them.
	Data []byte

	step *step
	left bool
}

// Zero reports whether the piece is known to be zeros.
func (p *Piece) Zero() bool { return p.step.unit == nil || p.Data == nil }

// Release gives the piece's memory back; Data must not be used any more. Every piece
// is released, in any order, before the image is closed.
func (p *Piece) Release() {
	if !p.left {
		p.left = true
		p.step.release()
	}
}

// Pieces reads ranges of the disk in the order that they are given in, ahead of what
// is taken as far as there is memory, and yields all of their content without gaps.
// A piece is the taker's until it releases it, also beyond its turn; who holds on to
// pieces and waits for more of them may wait for ever. Of a chunk of which a part is
// wanted all is fetched, for each range that wants a part of it. The first error ends
// it, and so does the end of ctx. One iteration of an image at a time is possible:
// for two of them open it twice, both before either begins: one that is not taken from
// may hold what memory another waits for to be opened.
func (im *Image) Pieces(ctx context.Context, ranges iter.Seq[ivd.Extent]) iter.Seq2[*Piece, error] {
	return func(yield func(*Piece, error) bool) {
		if !im.inUse.CompareAndSwap(false, true) {
			yield(nil, ivd.Errorf(ivd.Invalid, "read %s: it is being read in order already", im.point.ID))
			return
		}
		defer im.inUse.Store(false)
		steps := func(ctx context.Context) iter.Seq2[*step, error] { return im.steps(ctx, ranges) }
		for s, err := range ahead(ctx, stepsAhead, steps, im.run, im.give) {
			if err != nil {
				yield(nil, err)
				return
			}
			if !im.hand(s, yield) {
				return
			}
		}
	}
}

// stepsAhead bounds what is begun ahead, of which zeros take no memory.
const stepsAhead = 2 * extraPieces

// step is a unit with the zeros between its chunks, or zeros alone. Its memory is
// given back when all of its pieces are released.
type step struct {
	im     *Image
	unit   *unit // nil: zeros
	pieces []Piece
	from   []int64 // where in the unit's plain content each piece's begins; -1: zeros
	slot   *budget.Slot[budget.Buffer]
	held   atomic.Int32 // pieces that are not released
}

// steps cuts what is wanted, and takes the memory for each step in its turn: so what
// is wanted first never waits for what is wanted later.
func (im *Image) steps(ctx context.Context, ranges iter.Seq[ivd.Extent]) iter.Seq2[*step, error] {
	return func(yield func(*step, error) bool) {
		for s, err := range im.spans(ctx, ranges) {
			if err != nil {
				yield(nil, err)
				return
			}
			for st := range im.stepsOf(s) {
				if st.unit != nil || im.fill {
					if st.slot, err = im.plain.Get(ctx); err != nil {
						yield(nil, err)
						return
					}
				}
				if !yield(st, nil) {
					im.give(st)
					return
				}
			}
		}
	}
}

// stepsOf cuts what is wanted of a span: neighbours on the disk whose frames are
// neighbours in a pack go together, cut at multiples of a piece's size so that who
// writes them makes whole requests of them.
func (im *Image) stepsOf(s spanOf) iter.Seq[*step] {
	return func(yield func(*step) bool) {
		var st *step           // being filled
		var zeros []ivd.Extent // after it, one at the most
		flush := func() bool {
			if st != nil && !yield(st) {
				return false
			}
			st = nil
			for _, z := range zeros {
				if !im.zeros(z, yield) {
					return false
				}
			}
			zeros = zeros[:0]
			return true
		}
		for c := range im.chunksOf(s) {
			if c.chunk.Zero() {
				if n := len(zeros); n > 0 {
					zeros[n-1].Length += c.Length
				} else {
					zeros = append(zeros, c.Extent)
				}
				continue
			}
			apart := im.fill && len(zeros) > 0 || len(zeros) == 0 && c.Offset%im.sizes.piece == 0
			if st == nil || apart || !st.unit.add(c.whole, c.chunk, im.sizes.piece) {
				if !flush() {
					return
				}
				st = &step{im: im, unit: newUnit(c.whole, c.chunk)}
			}
			for _, z := range zeros {
				st.append(z, -1)
			}
			zeros = zeros[:0]
			st.append(c.Extent, st.unit.plain-c.whole.Length+c.Offset-c.whole.Offset)
		}
		flush()
	}
}

// zeros yields the steps of a range of zeros, each as large as its memory where it
// has any.
func (im *Image) zeros(e ivd.Extent, yield func(*step) bool) bool {
	for e.Length > 0 {
		part := e
		if im.fill {
			part.Length = min(e.Length, im.sizes.piece-e.Offset%im.sizes.piece)
		}
		s := &step{im: im}
		s.append(part, -1)
		if !yield(s) {
			return false
		}
		e.Offset, e.Length = part.End(), e.Length-part.Length
	}
	return true
}

// append adds what is wanted next, to the last piece where it continues it.
func (s *step) append(e ivd.Extent, from int64) {
	if n := len(s.pieces); n > 0 && (from < 0) == (s.from[n-1] < 0) {
		s.pieces[n-1].Length += e.Length // they follow each other, on the disk and in the content
		return
	}
	s.pieces = append(s.pieces, Piece{Extent: e, step: s})
	s.from = append(s.from, from)
}

// run fetches a step's content.
func (im *Image) run(ctx context.Context, s *step) (*step, error) {
	if s.unit == nil {
		if s.slot != nil {
			p := &s.pieces[0]
			p.Data = s.slot.Value.Bytes()[:p.Length:p.Length]
			clear(p.Data)
		}
		return s, nil
	}
	buf, at := s.slot.Value.Bytes(), int64(0)
	err := im.fetch(ctx, s.unit, func(i int) []byte {
		n := s.unit.chunks[i].extent.Length
		to := buf[at : at+n : at+n]
		at += n
		return to
	}, nil)
	if err != nil {
		im.give(s)
		return nil, err
	}
	for i := range s.pieces {
		if from := s.from[i]; from >= 0 {
			s.pieces[i].Data = buf[from : from+s.pieces[i].Length : from+s.pieces[i].Length]
		}
	}
	return s, nil
}

// hand yields a step's pieces. Those that nobody takes any more are released.
func (im *Image) hand(s *step, yield func(*Piece, error) bool) bool {
	s.held.Store(int32(len(s.pieces)))
	for i := range s.pieces {
		if !yield(&s.pieces[i], nil) {
			for j := i + 1; j < len(s.pieces); j++ {
				s.pieces[j].Release()
			}
			return false
		}
	}
	return true
}

func (s *step) release() {
	if s.held.Add(-1) == 0 {
		s.im.give(s)
	}
}

// give gives a step's memory back.
func (im *Image) give(s *step) {
	if s.slot != nil {
		im.plain.Put(s.slot)
		s.slot = nil
	}
}
