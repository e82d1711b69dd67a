package repo_test

import (
	"testing"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
)

// A pack that memory has changed under its writer's hands is found before it is stored, and
// nothing of it is stored; of one that is whole nothing is in the way.
func TestPackIsCheckedBeforeItIsStored(t *testing.T) {
	both(t, func(t *testing.T, r *repotest.Repository) {
		for name, c := range map[string]struct {
			checks int
			hurt   bool
			kind   ivd.Kind
		}{"whole": {1, false, ""}, "changed": {1, true, ivd.Transient}, "changed, and nobody looks": {0, true, ""}} {
			w, err := r.NewWriter(r.Lease(repo.WriteLease), ivd.NewWriterID(), "test")
			if err != nil {
				t.Fatal(err)
			}
			w.Checks = c.checks
			for _, kind := range []format.PackKind{format.DataPack, format.IndexPack} {
				p := w.NewPack(kind)
				frame := map[format.PackKind]format.FrameKind{format.DataPack: format.ChunkFrame, format.IndexPack: format.NodeFrame}[kind]
				plain := []byte("a content of which a bit changes " + name)
				at, length := p.Add(frame, r.Suite().ID(plain), len(plain), format.CompressionNone, plain)
				if body, _ := p.Finish(); c.hurt {
					body[int(at)+int(length)-20] ^= 4
				}
				ref, _, _, err := w.PutPack(t.Context(), p)
				_, there := r.Store.Stat(t.Context(), r.PackName(kind, ref.Pack))
				if ivd.KindOf(err) != c.kind || (there == nil) != (c.kind == "") {
					t.Errorf("%s, %v: %v; in the store: %v", name, kind, err, there)
				}
			}
		}
	})
}
