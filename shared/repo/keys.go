package repo

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/keys"
	"ivdmover/shared/store"
)

// PackKeys answers for keys of data packs, where this process cannot open them itself and
// does not know what for they are read. Kind Denied: it is not given.
type PackKeys interface {
	// ChunkKey is the key of one pack's chunks, and what its frame key was sealed to.
	ChunkKey(ctx context.Context, ref ivd.PackRef) (ivd.KeyID, ivd.Key, error)
}

// secrecy is how a repository's objects are sealed and signed, and opened again. The
// zero secrecy is a plain repository's.
type secrecy struct {
	access   atomic.Pointer[keys.Access] // of the ring as it was read last
	made     func(ring []byte) (*keys.Access, error)
	root     *keys.Master // of who is about to change repo.json
	packs    PackKeys
	register func(ctx context.Context, w format.Writer) error

	ring ringSeen

	mu      sync.Mutex
	frames  map[ivd.WriterID]frameKey   // guarded by mu: of writers whose packs were read
	writers map[ivd.WriterID]registered // guarded by mu: of writers whose packs' signatures were checked
}

// frameKey is a writer's, opened.
type frameKey struct {
	data ivd.KeyID
	key  ivd.Key
}

// access is what this process works with; nil in a plain repository.
func (r *Repository) access() *keys.Access { return r.secrecy.access.Load() }

// Suite is how contents are named, and packs sealed, in the repository's domain.
func (r *Repository) Suite() format.Suite {
	if a := r.access(); a != nil {
		return a.Suite()
	}
	return format.Suite{}
}

// encoder is a record in the clear.
type encoder interface{ Encode() ([]byte, error) }

// encode makes the object that a record is stored as under a name.
func (r *Repository) encode(name store.Name, record encoder) ([]byte, error) {
	b, err := record.Encode()
	if err != nil {
		return nil, &ivd.Error{Kind: ivd.Invalid, Err: err}
	}
	if a := r.access(); a != nil {
		return a.Protect(b, string(name))
	}
	return b, nil
}

// decode reads the record that an object was made of, in the clear or not. A key that is
// not known may be newer than the ring that was read last.
func decode[T any](ctx context.Context, r *Repository, o store.Object, magic format.Magic, read func(b []byte, at format.At) (T, error)) (record T, err error) {
	b := o.Body
	if a := r.access(); a != nil {
		b, err = format.Unprotect(o.Body, magic, a)
		if ivd.KindOf(err) == ivd.Unsupported && r.renewed(ctx, a) {
			b, err = format.Unprotect(o.Body, magic, r.access())
		}
		if err != nil {
			return record, err
		}
	}
	return read(b, r.at(o.Name))
}

// Grant is what movers get of the keys of an encrypted repository; nil of a plain one.
func (r *Repository) Grant() *keys.Grant {
	a := r.access()
	if a == nil {
		return nil
	}
	g := a.Grant()
	return &g
}

// KnowsDataKey reports whether writers may seal their frame keys to a data key.
func (r *Repository) KnowsDataKey(id ivd.KeyID) bool {
	a := r.access()
	return a != nil && a.Knows(id)
}

// DecodeWriter reads a writer's record in the clear, as its own process has made it.
func (r *Repository) DecodeWriter(b []byte) (format.Writer, error) {
	var id struct {
		ID ivd.WriterID `json:"id"`
	}
	body, err := format.OpenRecord(format.WriterMagic, b)
	if err == nil {
		err = format.DecodeJSON(body, &id)
	}
	if err != nil {
		return format.Writer{}, err
	}
	return format.DecodeWriter(b, r.at(r.writerName(id.ID)))
}

// Register signs and stores the record of a writer that has no right to: a mover's. Its
// caller has seen that the mover works under that lease. To store it again is no error,
// and another one under its id is of kind Exists. Where what is stored under the id cannot
// be read now, the error is of the kind of that.
func (r *Repository) Register(ctx context.Context, w format.Writer) error {
	name := r.writerName(w.ID)
	w.Head = r.head(name)
	body, err := r.encode(name, w)
	if err != nil {
		return err
	}
	err = create(ctx, r.st, name, body)
	if ivd.KindOf(err) != ivd.Exists {
		return err
	}
	stored, readErr := r.ReadWriter(ctx, w.ID)
	switch ivd.KindOf(readErr) {
	case ivd.NotFound, ivd.Corrupt, ivd.Unsupported:
		return err // something else is there, or was
	}
	if readErr != nil {
		return readErr // what is there is not known
	}
	if stored.Head = w.Head; reflect.DeepEqual(stored, w) {
		return nil
	}
	return err
}

// OpensChunks refuses, with kind Denied, where chunks cannot be opened for want of keys:
// restores are not this process's to do.
func (r *Repository) OpensChunks() error {
	if a := r.access(); a == nil || a.OpensChunks() || r.secrecy.packs != nil {
		return nil
	}
	return &ivd.Error{
		Kind: ivd.Denied, Err: errors.New("what is stored cannot be read here: there is an export of the keys, which is for backups only"),
		Remedy: "set repository.passphrase_file, and start `ivd serve` again",
	}
}

// Opener is what opens frames of a pack that is known by its reference. Kind Denied: it
// is a data pack, and this process has no data key.
func (r *Repository) Opener(ctx context.Context, kind format.PackKind, ref ivd.PackRef) (*format.Opener, error) {
	suite := r.Suite()
	switch {
	case suite.Cipher() == format.CipherNone:
		return new(format.Opener), nil
	case kind == format.IndexPack:
		return suite.Opener(suite.IndexHeader(r.info.ID, r.domain, ref), nil)
	}
	data, key, err := r.chunkKey(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("the key of %s: %w", r.PackName(kind, ref.Pack), err)
	}
	return r.OpenerWith(ref, data, key)
}

// OpenerWith is what opens chunks of a data pack with its key, which ChunkKey is, and the
// id of the data key that belongs to it.
func (r *Repository) OpenerWith(ref ivd.PackRef, data ivd.KeyID, chunks ivd.Key) (*format.Opener, error) {
	suite := r.Suite()
	h := suite.IndexHeader(r.info.ID, r.domain, ref)
	h.Kind, h.DataKey = format.DataPack, data
	return suite.Opener(h, &chunks)
}

// chunkKey is the key of a data pack's chunks, asked for where that is to be done.
func (r *Repository) chunkKey(ctx context.Context, ref ivd.PackRef) (ivd.KeyID, ivd.Key, error) {
	if p := r.secrecy.packs; p != nil {
		return p.ChunkKey(ctx, ref)
	}
	return r.ChunkKey(ctx, ref)
}

// ReadsPoints reports whether this process can read restore points: a mover of an encrypted
// repository cannot.
func (r *Repository) ReadsPoints() bool {
	a := r.access()
	return a == nil || a.Reads(format.ByRecord)
}

// ChunkKey is the key of one data pack's chunks, opened here: with it the pack can be
// read, and no other. Kind Denied: this process has no data key.
func (r *Repository) ChunkKey(ctx context.Context, ref ivd.PackRef) (ivd.KeyID, ivd.Key, error) {
	s := &r.secrecy
	s.mu.Lock()
	f, known := s.frames[ref.Writer]
	s.mu.Unlock()
	if !known {
		w, err := r.ReadWriter(ctx, ref.Writer)
		switch ivd.KindOf(err) {
		case ivd.NotFound, ivd.Corrupt, ivd.Unsupported:
			w, err = r.writerInPack(ctx, ref)
		}
		if err != nil {
			return ivd.KeyID{}, ivd.Key{}, err
		}
		if f.key, err = r.frameKey(ctx, w); err != nil {
			return ivd.KeyID{}, ivd.Key{}, err
		}
		f.data = w.DataKey
		s.mu.Lock()
		if len(s.frames) >= maxFrameKeys || s.frames == nil {
			s.frames = map[ivd.WriterID]frameKey{} // they are read again
		}
		s.frames[ref.Writer] = f
		s.mu.Unlock()
	}
	return f.data, format.ChunkKey(f.key, ref.Writer, ref.Nonce), nil
}

// writerInPack is what a data pack holds of its writer's record: all that it takes to open
// its chunks where that is lost. Nothing in it need be believed: the frame key opens under
// this writer's id alone, and each chunk is compared with its own.
func (r *Repository) writerInPack(ctx context.Context, ref ivd.PackRef) (format.Writer, error) {
	name := r.PackName(format.DataPack, ref.Pack)
	b := make([]byte, format.PackHeaderSize+format.SealedKeySize)
	if err := r.st.ReadAt(ctx, name, b, 0); err != nil {
		return format.Writer{}, fmt.Errorf("read the header of %s: %w", name, err)
	}
	h, err := format.ReadPackHeader(b[:format.PackHeaderSize])
	if err != nil {
		return format.Writer{}, fmt.Errorf("%s: %w", name, err)
	}
	want := r.Suite().IndexHeader(r.info.ID, r.domain, ref)
	if want.Kind, want.DataKey = format.DataPack, h.DataKey; h != want {
		return format.Writer{}, ivd.Errorf(ivd.Corrupt, "%s is another pack than it is named for", name)
	}
	return format.Writer{ID: ref.Writer, DataKey: h.DataKey, FrameKey: b[format.PackHeaderSize:]}, nil
}

// frameKey opens a writer's frame key. A data key that is not known may be newer than
// the ring that was read last.
func (r *Repository) frameKey(ctx context.Context, w format.Writer) (ivd.Key, error) {
	h, a := format.PackHeader{Writer: w.ID, DataKey: w.DataKey}, r.access()
	k, err := a.FrameKey(h, w.FrameKey)
	if ivd.KindOf(err) == ivd.Unsupported && r.renewed(ctx, a) {
		return r.access().FrameKey(h, w.FrameKey)
	}
	return k, err
}

// maxFrameKeys bounds what is kept of writers.
const maxFrameKeys = 4096
