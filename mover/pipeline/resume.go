package pipeline

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/trust"
)

// resume goes on from the checkpoint, after everything that it names has passed
// the writer's test; where something does not, the job begins anew, which does no
// harm.
func (b *backup) resume(ctx context.Context) error {
	first := b.job.Backup.Pages[0].FirstSpan()
	b.next = first
	if b.From.Next <= first {
		return nil
	}
	good, err := b.goodPages(ctx, b.From.Pages)
	if err != nil || !good {
		return err
	}
	begun := b.From.Next.Page()
	if b.From.Next > begun.FirstSpan() && b.From.Next < b.end() {
		state, err := b.resumePage(ctx, begun)
		if err != nil || state == nil {
			return err
		}
		b.page = state
	}
	b.next = b.From.Next
	b.pages = slices.Clone(b.From.Pages)
	return nil
}

// goodPages reports whether all packs behind complete pages may be relied on. Those
// sealed under the job's own lease are: nothing that appeared since it was
// written is deleted while it stands.
func (b *backup) goodPages(ctx context.Context, refs []ivd.PageRef) (bool, error) {
	if b.From.SealedUnder == b.job.Lease {
		return true, nil
	}
	for _, ref := range refs {
		page, err := b.Trust.ParentPage(ctx, ref, trust.Taking{
			SealedAt: b.Repository.KnownAt(b.From.SealedAt, b.From.Incarnation), Parent: b.job.Geometry, Child: b.job.Geometry,
		})
		if err != nil {
			return false, lost(err)
		}
		b.Meter.tick()
		if _, ok := page.Whole(); !ok {
			return false, nil
		}
	}
	return true, nil
}

// resumePage puts the page that was begun together again; nil where part of it
// may not be relied on.
func (b *backup) resumePage(ctx context.Context, index ivd.PageIndex) (*pageState, error) {
	old, err := b.parent.page(ctx, index, b.job.Geometry, newWork(b.job, nil, nil).builds(index))
	if err != nil {
		return nil, err
	}
	nodes, err := b.resumeNodes(ctx)
	if err != nil || nodes == nil {
		return nil, err
	}
	state := newPageState(b.job.Geometry, old)
	for span := index.FirstSpan(); span < b.From.Next; span++ {
		i := slices.IndexFunc(b.From.Nodes, func(r ivd.NodeRef) bool { return r.Span == span })
		switch {
		case i >= 0 && nodes[i] == nil: // zeros
			state.change(b.From.Nodes[i])
		case i >= 0:
			state.page.SetNode(b.From.Nodes[i], nodes[i].Packs)
			state.change(b.From.Nodes[i])
		case old.lost:
			return nil, nil
		case old.zero(span):
		case !old.takeable(span):
			return nil, nil
		default:
			state.page.Take(old.page.Page, span)
		}
	}
	return state, nil
}

// resumeNodes reads the nodes that the checkpoint names, in its order, nil for
// those of zeros; no list at all where one may not be relied on.
func (b *backup) resumeNodes(ctx context.Context) ([]*format.Node, error) {
	nodes := make([]*format.Node, len(b.From.Nodes))
	bad := make([]bool, len(nodes))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(inFlight)
	for i, ref := range b.From.Nodes {
		if ref.ID.IsZero() {
			continue
		}
		g.Go(func() error {
			var err error
			if nodes[i], err = b.Repository.Node(ctx, ref, b.job.Geometry); err != nil {
				bad[i] = true
				return lost(err)
			}
			b.Meter.tick()
			good, err := b.goodNode(ctx, ref, nodes[i])
			bad[i] = !good
			return err
		})
	}
	if err := g.Wait(); err != nil || slices.Contains(bad, true) {
		return nil, err
	}
	return nodes, nil
}

func (b *backup) goodNode(ctx context.Context, ref ivd.NodeRef, node *format.Node) (bool, error) {
	if b.From.SealedUnder == b.job.Lease {
		return true, nil
	}
	packs := map[ivd.PackID]format.PackKind{}
	for _, p := range node.Packs {
		packs[p.Pack] = format.DataPack
	}
	packs[ref.Place.Pack] = format.IndexPack
	bad, err := b.Trust.Packs(ctx, packs, b.Repository.KnownAt(b.From.SealedAt, b.From.Incarnation))
	return err == nil && len(bad) == 0, err
}
