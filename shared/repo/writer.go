package repo

import (
	"context"
	"fmt"
	"sync"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// WriterOptions say who writes, and under which lease.
type WriterOptions struct {
	Lease       ivd.LeaseID
	Writer      ivd.WriterID // random, of this process and this lease
	Mover       string       // for people
	DedupMemory int64        // bytes to remember where contents lie
}

// Writer is one mover process at work under one lease. What it trusts and what it
// remembers is bound to the lease: under another one, open another Writer.
type Writer struct {
	r        *Repository
	o        WriterOptions
	deadline time.Time // of the lease
	standing *Standing
	memory   *memory

	record  sync.Mutex // held while the writer's record is stored
	written bool

	mu    sync.Mutex
	asked map[ivd.PackID]bool // what the store said exists, after the lists were read; packs stored here included
}

// OpenWriter checks the lease (W1), and then reads what stands (W2).
func (r *Repository) OpenWriter(ctx context.Context, o WriterOptions) (*Writer, error) {
	lease, err := r.checkLease(ctx, o.Lease, 0)
	if err != nil {
		return nil, fmt.Errorf("open a writer: %w", err)
	}

	s, err := r.Standing(ctx)
	if err != nil {
		return nil, fmt.Errorf("open a writer: %w", err)
	}
	return &Writer{r: r, o: o, deadline: lease.Deadline, standing: s, memory: newMemory(o.DedupMemory), asked: map[ivd.PackID]bool{}}, nil
}

// ID is the writer id that all of its packs carry.
func (w *Writer) ID() ivd.WriterID { return w.o.Writer }

// Lease is the lease under which the writer works.
func (w *Writer) Lease() ivd.LeaseID { return w.o.Lease }

// Repository is where the writer writes.
func (w *Writer) Repository() *Repository { return w.r }

// Standing is what stood when the writer was opened.
func (w *Writer) Standing() *Standing { return w.standing }

// PackHeader is the header of a new pack of this writer: its nonce is like no other.
func (w *Writer) PackHeader(kind format.PackKind) format.PackHeader {
	return format.PackHeader{Kind: kind, Repository: w.r.info.ID, Domain: w.r.info.Domain, Writer: w.o.Writer, Nonce: ivd.NewNonce()}
}

// PutPack finishes a pack and stores it, the writer's own record before its first
// one (W5). When it returns the pack is durable; at is a moment at which it
// existed, by the store's clock. P's header must be this writer's (PackHeader), and
// p must not be used again until PutPack returns.
func (w *Writer) PutPack(ctx context.Context, p *format.Pack) (ref ivd.PackRef, size int, at time.Time, err error) {
	h := p.Header()
	if want := (format.PackHeader{Kind: h.Kind, Repository: w.r.info.ID, Domain: w.r.info.Domain, Writer: w.o.Writer, Nonce: h.Nonce}); h != want {
		return ref, 0, at, ivd.Errorf(ivd.Invalid, "store a pack of writer %s in domain %s of repository %s as writer %s in domain %s of repository %s",
			h.Writer, h.Domain, h.Repository, want.Writer, want.Domain, want.Repository)
	}
	if now := w.r.Now(); !now.Before(w.deadline.Add(-Margin)) {
		return ref, 0, at, ivd.Errorf(ivd.Expired, "store a pack: lease %s ends at %s, too soon for what is stored at %s to be committed", w.o.Lease, w.deadline.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	if err := w.putRecord(ctx); err != nil {
		return ref, 0, at, err
	}
	body, ref := p.Finish()
	name := w.r.PackName(h.Kind, ref.Pack)
	if err := w.r.st.Put(ctx, name, body); err != nil {
		return ref, 0, at, fmt.Errorf("store %s: %w", name, err)
	}
	w.learn(ref.Pack, true)
	return ref, len(body), w.r.Now(), nil
}

func (w *Writer) putRecord(ctx context.Context) error {
	w.record.Lock()
	defer w.record.Unlock()
	if w.written {
		return nil
	}
	body, err := format.Writer{
		Repository: w.r.ID(), ID: w.o.Writer, Mover: w.o.Mover, Lease: w.o.Lease,
		Created: w.r.Now().UTC().Truncate(time.Second),
	}.Encode()
	if err != nil {
		return err
	}
	name := w.r.writerName(w.o.Writer)
	if err := w.r.st.Put(ctx, name, body); err != nil {
		return fmt.Errorf("store %s: %w", name, err)
	}
	w.written = true
	return nil
}

// Known is where a content lies that was remembered. It is a place that may be
// named in a new node, of a pack that this writer stored or trusts.
func (w *Writer) Known(id ivd.ContentID) (ivd.Place, bool) { return w.memory.find(id) }

// Remember remembers where a content lies. The pack must be stored already, by
// this writer, or be trusted by it.
func (w *Writer) Remember(id ivd.ContentID, place ivd.Place) { w.memory.add(id, place) }
