package repo_test

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store"
	"ivdmover/shared/trust"
)

// lie is what an object of a repository may come to say that this release does not
// know. Place tells which object, and how it is read.
type lie struct {
	name string
	lie  func(t *testing.T, b *bucket, r *repo.Repository, x *tree)
	says string
}

// lies are one for each kind of thing that is read on the way to a chunk. Package
// format tries each field.
var lies = []lie{
	{"the version of a page's frame", frameByte(func(x *tree) ivd.Place { return x.point.Pages[0].Place }, 4), "version 77"},
	{"the compression of a page's frame", frameByte(func(x *tree) ivd.Place { return x.point.Pages[0].Place }, 6), "compression 77"},
	{"the dictionary of a page's frame", frameByte(func(x *tree) ivd.Place { return x.point.Pages[0].Place }, 20), "dictionary 77"},
	{"a page's version", pageByte(4), "version 77"},
	{"a page's reserved bytes", pageByte(28), "reserved bytes"},
	{"the state of a page's span", pageByte(32 + 4*64), "state 77"},
}

// frameByte has a byte of a frame of an index pack say 77.
func frameByte(of func(x *tree) ivd.Place, at uint32) func(*testing.T, *bucket, *repo.Repository, *tree) {
	return func(t *testing.T, b *bucket, r *repo.Repository, x *tree) {
		place := of(x)
		o, err := b.find(r.PackName(format.IndexPack, place.Pack))
		if err != nil {
			t.Fatal(err)
		}
		o.Body[place.Offset+at] = 77
		b.put(o.Name, o.Body)
	}
}

// pageByte stores the page once more, with a byte of its content that says 77, and
// has the point name it.
func pageByte(at int) func(*testing.T, *bucket, *repo.Repository, *tree) {
	return func(t *testing.T, _ *bucket, r *repo.Repository, x *tree) {
		page, err := r.Page(t.Context(), x.point.Pages[0], geometry)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := page.Encode()
		if err != nil {
			t.Fatal(err)
		}
		plain[at] = 77
		w := writerOf(t, r)
		p := newPack(w, format.IndexPack)
		id, place := addFrame(p, format.PageFrame, plain)
		place.PackRef = putPack(t, w, p)
		x.point.Pages = []ivd.PageRef{{ID: id, Place: place}}
	}
}

// What is not known is no damage: a parent that says it is not taken for lost, so
// that nothing is read anew because of it, and nothing in the bucket changes.
func TestUnknownChangesNothing(t *testing.T) {
	for _, c := range lies {
		t.Run(c.name, func(t *testing.T) {
			b, r := made(t)
			x := plant(t, r, writerOf(t, r))
			c.lie(t, b, r, &x)
			w := trustOf(t, r)
			before := names(b)
			b.forget()
			_, err := w.ParentPage(t.Context(), x.point.Pages[0], trust.Taking{SealedAt: b.now(), Parent: geometry, Child: geometry})
			wantKind(t, err, ivd.Unsupported, c.says)
			if ivd.RemedyOf(err) == "" || strings.Contains(ivd.RemedyOf(err), "--full") {
				t.Errorf("remedy %q", ivd.RemedyOf(err))
			}
			for _, op := range b.did() {
				if !strings.HasPrefix(op, "read ") {
					t.Errorf("the bucket was asked to %s", op)
				}
			}
			if after := names(b); !slices.Equal(before, after) {
				t.Errorf("objects %q, before %q", after, before)
			}
		})
	}
}

func names(b *bucket) []store.Name { return slices.Sorted(maps.Keys(b.objects)) }

// A node that names a pack which its page does not say the span needs is corrupt to
// whoever has both: a collector may have deleted that pack.
func TestNodeBeyondItsPage(t *testing.T) {
	_, r := made(t)
	w := writerOf(t, r)
	x := plant(t, r, w)
	page, err := r.Page(t.Context(), x.point.Pages[0], geometry)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.SpanNode(t.Context(), page, 0); err != nil {
		t.Fatal(err)
	}
	// Span 0's node is replaced by one that names span 1's pack as well.
	node, err := r.SpanNode(t.Context(), page, 0)
	if err != nil {
		t.Fatal(err)
	}
	other, err := r.SpanNode(t.Context(), page, 1)
	if err != nil {
		t.Fatal(err)
	}
	node.Set(9, other.Chunks[7].ID, other.Chunks[7].Place)
	plain, err := node.Encode()
	if err != nil {
		t.Fatal(err)
	}
	p := newPack(w, format.IndexPack)
	id, place := addFrame(p, format.NodeFrame, plain)
	place.PackRef = putPack(t, w, p)
	needs := slices.Clone(page.Entry(0).Needs)
	honest := []ivd.PackRef{}
	for _, n := range needs {
		honest = append(honest, page.Packs[n])
	}
	page.SetNode(ivd.NodeRef{Span: 0, ID: id, Place: place}, honest)
	_, err = r.SpanNode(t.Context(), page, 0)
	wantKind(t, err, ivd.Corrupt, place.Pack.String(), x.data[1].String(), "does not say it needs")
	// By itself the node is in order.
	if n, err := r.Node(t.Context(), page.Ref(0), geometry); err != nil || !bytes.Equal(n.Chunks[9].ID[:], other.Chunks[7].ID[:]) {
		t.Fatal(err)
	}
}
