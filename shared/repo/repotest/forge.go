package repotest

import (
	"fmt"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store"
)

// Forger writes packs as a mover may that lies: with whatever it likes in them.
type Forger struct {
	ID   ivd.WriterID
	r    *Repository
	keys *format.WriterKeys // nil in a plain repository
}

// Forger makes one that is registered as a writer, or not.
func (r *Repository) Forger(registered bool) *Forger {
	r.t.Helper()
	f := &Forger{ID: ivd.NewWriterID(), r: r}
	record := format.Writer{ID: f.ID, Mover: "a liar", Lease: r.Lease(repo.WriteLease).ID, Incarnation: r.Incarnation(), Created: r.Now().UTC()}
	if r.Suite().Cipher() != format.CipherNone {
		var err error
		f.keys, err = r.access().Writer(f.ID)
		must(r.t, err)
		record.Public, record.DataKey, record.FrameKey = f.keys.PublicKey(), f.keys.DataKey, f.keys.SealedFrame[:]
	}
	if registered {
		must(r.t, r.Register(r.t.Context(), record))
	}
	return f
}

// Put stores a data pack that says that it is of a writer.
func (f *Forger) Put(as ivd.WriterID, fill func(*format.Pack)) ivd.PackRef {
	f.r.t.Helper()
	h := format.PackHeader{Kind: format.DataPack, Cipher: f.r.Suite().Cipher(), Repository: f.r.ID(), Domain: f.r.Domain(), Writer: as, Nonce: ivd.NewNonce()}
	if f.keys != nil {
		h.DataKey = f.keys.DataKey
	}
	p := format.NewPack(h, f.keys)
	fill(p)
	body, ref := p.Finish()
	f.r.put(f.r.PackName(format.DataPack, ref.Pack), body)
	return ref
}

// Chunk adds a chunk to a pack, under whatever id.
func Chunk(p *format.Pack, id ivd.ContentID, content []byte) {
	p.Add(format.ChunkFrame, id, len(content), format.CompressionNone, content)
}

// Hook stores a list of hooks, which may say anything.
func (r *Repository) Hook(run string, packs map[ivd.PackRef][]ivd.ContentID) {
	r.t.Helper()
	r.lists++
	list := format.Hooks{Head: r.head(fmt.Sprintf("hooks/%s/%s-%d", r.Domain(), run, r.lists)), Created: r.Now()}
	for ref := range packs {
		list.Packs.Add(ref)
	}
	for ref, ids := range packs {
		i, _ := list.Packs.Find(ref.Pack)
		for _, id := range ids {
			list.Hooks = append(list.Hooks, format.Hook{ID: id, Pack: uint32(i)})
		}
	}
	body, err := list.Encode()
	must(r.t, err)
	r.put(store.Name(list.Object), r.protect(body, list.Object))
}
