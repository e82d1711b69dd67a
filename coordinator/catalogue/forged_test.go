package catalogue_test

import (
	"bytes"
	"slices"
	"testing"

	"ivdmover/coordinator/catalogue"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
)

// In an encrypted repository a pack is its writer's by the writer's signature: one in
// another's name is nobody's, and is told apart.
func TestPackInAnothersName(t *testing.T) {
	t.Parallel()
	for _, kind := range []format.PackKind{format.DataPack, format.IndexPack} {
		r := repotest.Sealed(t)
		lease := r.Lease(repo.WriteLease)
		put := func() (ivd.WriterID, ivd.PackID) {
			w, err := r.NewWriter(lease, ivd.NewWriterID(), "m")
			if err != nil {
				t.Fatal(err)
			}
			ref, _, _, err := w.PutPack(t.Context(), w.NewPack(kind))
			if err != nil {
				t.Fatal(err)
			}
			return w.ID(), ref.Pack
		}
		victim, own := put()
		thief, pack := put()
		o, err := r.Clock.Get(t.Context(), r.PackName(kind, pack), format.MaxPackSize)
		if err != nil {
			t.Fatal(err)
		}
		forged := bytes.Replace(bytes.Clone(o.Body), thief[:], victim[:], 1)
		if bytes.Equal(forged, o.Body) {
			t.Fatal("the writer is not in the header")
		}
		plain := bytes.Clone(forged)
		plain[11], plain[12] = byte(format.CipherNone), 1 // as the header of a pack that nobody signs, with the hash of its kind
		for _, body := range [][]byte{forged, plain} {
			if err := r.Clock.Put(t.Context(), r.PackName(kind, format.PackSum(body)), body); err != nil {
				t.Fatal(err)
			}
		}
		for writer, want := range map[ivd.WriterID]ivd.PackID{victim: own, thief: pack} {
			found, err := catalogue.New(r.Repository).Written(t.Context(), func(w ivd.WriterID) bool { return w == writer })
			if err != nil || !slices.Equal(found.Packs.IDs(), []ivd.PackID{want}) || len(found.Unread) != 2 {
				t.Errorf("%s: packs %v, %v, %v", kind, found.Packs.IDs(), found.Unread, err)
			}
		}
	}
}
