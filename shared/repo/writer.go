package repo

import (
	"context"
	"fmt"
	"sync"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// Writer stores the packs of one mover process at work under one lease.
type Writer struct {
	r     *Repository
	lease Lease
	id    ivd.WriterID
	mover string
	keys  *format.WriterKeys // nil in a plain repository

	// Checks is of how many frames of a pack one is opened before it is stored; 0: none
	// is. It is set before the first pack.
	Checks int

	record  sync.Mutex // held while the writer's record is stored
	written bool
	made    *format.Writer // the record, once it was made: it is sent again as it is

	hooking sync.Mutex
	hooks   []PackHooks // guarded by hooking: of data packs, not stored yet
	since   time.Time   // guarded by hooking: when the first of them came, by this host's clock
}

// NewWriter makes a writer under a lease that was seen to stand. Its id is of this
// process and this lease only; mover tells people whose it is. In an encrypted
// repository it gets keys of its own.
func (r *Repository) NewWriter(lease Lease, id ivd.WriterID, mover string) (*Writer, error) {
	w := &Writer{r: r, lease: lease, id: id, mover: mover}
	if a := r.access(); a != nil {
		var err error
		if w.keys, err = a.Writer(id); err != nil {
			return nil, fmt.Errorf("make the keys of writer %s: %w", id, err)
		}
	}
	return w, nil
}

// ID is the writer id that all of its packs carry.
func (w *Writer) ID() ivd.WriterID { return w.id }

// Lease is the lease under which the writer works.
func (w *Writer) Lease() ivd.LeaseID { return w.lease.ID }

// Incarnation is the repository's in which the writer works, and what it stores
// counts.
func (w *Writer) Incarnation() ivd.IncarnationID { return w.lease.Incarnation }

// Begin begins a pack of this writer in the memory of another one, whose nonce is like
// no other.
func (w *Writer) Begin(p *format.Pack, kind format.PackKind) {
	p.Reset(w.header(kind, ivd.NewNonce()), w.keys)
}

// NewPack begins a pack of this writer.
func (w *Writer) NewPack(kind format.PackKind) *format.Pack {
	return format.NewPack(w.header(kind, ivd.NewNonce()), w.keys)
}

func (w *Writer) header(kind format.PackKind, n ivd.Nonce) format.PackHeader {
	h := format.PackHeader{Kind: kind, Cipher: w.r.Suite().Cipher(), Repository: w.r.info.ID, Domain: w.r.domain, Writer: w.id, Nonce: n}
	if w.keys != nil && kind == format.DataPack {
		h.DataKey = w.keys.DataKey
	}
	return h
}

// PutPack finishes a pack and stores it, the writer's own record before its first
// one (W5). When it returns the pack is durable; at is a moment at which it
// existed, by the store's clock. P's header must be this writer's (NewPack), and
// p must not be used again until PutPack returns.
func (w *Writer) PutPack(ctx context.Context, p *format.Pack) (ref ivd.PackRef, size int, at time.Time, err error) {
	h := p.Header()
	if want := w.header(h.Kind, h.Nonce); h != want {
		return ref, 0, at, ivd.Errorf(ivd.Invalid, "store a pack of writer %s in domain %s of repository %s as writer %s in domain %s of repository %s",
			h.Writer, h.Domain, h.Repository, want.Writer, want.Domain, want.Repository)
	}
	if now := w.r.Now(); !now.Before(w.lease.Deadline.Add(-Margin)) {
		return ref, 0, at, ivd.Errorf(ivd.Expired, "store a pack: lease %s ends at %s, too soon for what is stored at %s to be committed", w.lease.ID, w.lease.Deadline.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	if err := w.putRecord(ctx); err != nil {
		return ref, 0, at, err
	}
	body, ref := p.Finish()
	if w.Checks > 0 {
		if err := p.Check(w.Checks, int(ref.Pack[0])); err != nil { // another sample of each pack
			return ref, 0, at, &ivd.Error{
				Kind: ivd.Transient, Op: "check a pack before it is stored: it is thrown away, and what it held is read again", Err: err,
				Remedy: "where this comes again, look at this host's memory",
			}
		}
	}
	name := w.r.PackName(h.Kind, ref.Pack)
	if err := w.r.st.Put(ctx, name, body); err != nil {
		return ref, 0, at, fmt.Errorf("store %s: %w", name, err)
	}
	if h.Kind == format.DataPack {
		w.hook(PackHooks{ref, hooksOf(p.Entries())})
	}
	return ref, len(body), w.r.Now(), nil
}

func (w *Writer) putRecord(ctx context.Context) error {
	w.record.Lock()
	defer w.record.Unlock()
	if w.written {
		return nil
	}
	name := w.r.writerName(w.id)
	if w.made == nil {
		w.made = &format.Writer{
			Head: w.r.head(name), ID: w.id, Mover: w.mover, Run: w.lease.Run, Lease: w.lease.ID,
			Incarnation: w.lease.Incarnation, Created: w.r.Now().UTC().Truncate(time.Second),
		}
		if k := w.keys; k != nil {
			w.made.Public, w.made.DataKey, w.made.FrameKey = k.PublicKey(), k.DataKey, k.SealedFrame[:]
		}
	}
	record := *w.made
	if a := w.r.access(); a != nil && !a.MaySign(format.WriterMagic) && w.r.secrecy.register != nil {
		if err := w.r.secrecy.register(ctx, record); err != nil {
			return fmt.Errorf("register writer %s: %w", w.id, err)
		}
		w.written = true
		return nil
	}
	body, err := w.r.encode(name, record)
	if err != nil {
		return err
	}
	if err := w.r.st.Put(ctx, name, body); err != nil {
		return fmt.Errorf("store %s: %w", name, err)
	}
	w.written = true
	return nil
}
