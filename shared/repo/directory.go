package repo

import (
	"context"
	"crypto/ed25519"
	"fmt"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// Directory is what a pack has, by what its writer has signed.
type Directory struct {
	Ref     ivd.PackRef
	Header  format.PackHeader
	Length  int64 // of the pack
	Trailer format.Trailer
	Entries []format.Entry
}

// directoryRead is how much of a pack's end is read at once: it mostly has the
// directory in it.
const directoryRead = 64 << 10

// maxDirectory is the bytes of a directory that is read for deduplication: 32,768 frames.
const maxDirectory = 48<<15 + format.FrameOverhead

// Directory reads a data pack's directory, which its writer must vouch for: in an
// encrypted repository header, directory and trailer are as the key of the registered
// writer has signed them. In a plain one they are what the pack's end and their Sum say.
// That the frames are what the directory says nobody knows without opening them
// (ProvePack), nor that the pack is what its name says.
//
// Kind NotFound: the pack is not there. Kind Corrupt: it is not as its writer stored it.
// Kind Denied: its writer is not registered. Requests is how many it took.
func (r *Repository) Directory(ctx context.Context, id ivd.PackID) (d Directory, requests int64, err error) {
	name := r.PackName(format.DataPack, id)
	info, err := r.st.Stat(ctx, name)
	if err != nil {
		return d, 1, fmt.Errorf("ask for %s: %w", name, err)
	}
	requests++
	read := r.partsOf(ctx, name, &requests)
	d, signed, err := r.readDirectory(id, info.Size, func(n, off int64) ([]byte, error) {
		if n > maxDirectory {
			return nil, ivd.Errorf(ivd.Unsupported, "its directory has %d bytes: nobody builds on it", n)
		}
		return read(n, off)
	})
	if err != nil {
		return d, requests, fmt.Errorf("%s: %w", name, err)
	}
	asked, err := r.checkSignature(ctx, d.Header, signed)
	if err != nil {
		return d, requests + asked, fmt.Errorf("%s: %w", name, err)
	}
	return d, requests + asked, nil
}

// PackWriter tells who has stored a pack of either kind: in an encrypted repository the
// registered writer that has signed it, and in a plain one whom its header names. Kinds as
// of Directory.
func (r *Repository) PackWriter(ctx context.Context, kind format.PackKind, id ivd.PackID) (ivd.WriterID, error) {
	if r.Suite().Cipher() == format.CipherNone {
		h, err := r.PackHeader(ctx, kind, id)
		if err == nil {
			err = r.ours(h, kind)
		}
		return h.Writer, err
	}
	name := r.PackName(kind, id)
	info, err := r.st.Stat(ctx, name)
	if err != nil {
		return ivd.WriterID{}, fmt.Errorf("ask for %s: %w", name, err)
	}
	h, _, p, err := r.readParts(info.Size, r.partsOf(ctx, name, new(int64)))
	if err == nil {
		err = r.ours(h, kind)
	}
	if err == nil {
		_, err = r.checkSignature(ctx, h, p)
	}
	if err != nil {
		return ivd.WriterID{}, fmt.Errorf("%s: %w", name, err)
	}
	return h.Writer, nil
}

// ours refuses the header of a pack that is none of this repository's.
func (r *Repository) ours(h format.PackHeader, kind format.PackKind) error {
	if h.Kind != kind || h.Repository != r.info.ID || h.Domain != r.domain || h.Cipher != r.Suite().Cipher() {
		return ivd.Errorf(ivd.Corrupt, "it says that it is a %s of domain %s of repository %s, with cipher %d", h.Kind, h.Domain, h.Repository, h.Cipher)
	}
	return nil
}

// partsOf reads parts of a pack, and counts how often.
func (r *Repository) partsOf(ctx context.Context, name store.Name, requests *int64) func(n, off int64) ([]byte, error) {
	return func(n, off int64) ([]byte, error) {
		*requests++
		b := make([]byte, n)
		if err := r.st.ReadAt(ctx, name, b, off); err != nil {
			return nil, fmt.Errorf("read %s at %d: %w", name, off, err)
		}
		return b, nil
	}
}

// signedParts are the parts of a pack that its signature is over.
type signedParts struct{ header, directory, trailer []byte }

// readDirectory reads the parts of a pack beside its frames; read reads n bytes at off.
func (r *Repository) readDirectory(id ivd.PackID, size int64, read func(n, off int64) ([]byte, error)) (d Directory, p signedParts, err error) {
	d.Length = size
	if d.Header, d.Trailer, p, err = r.readParts(size, read); err != nil {
		return d, p, err
	}
	if err := r.ours(d.Header, format.DataPack); err != nil {
		return d, p, err
	}
	o, err := r.Suite().Opener(d.Header, nil)
	if err == nil {
		d.Entries, err = o.Directory(p.directory, d.Trailer)
	}
	for _, e := range d.Entries {
		if e.Kind != format.ChunkFrame {
			return d, p, ivd.Errorf(ivd.Corrupt, "a data pack with a frame of a %s", e.Kind)
		}
	}
	d.Ref = ivd.PackRef{Pack: id, Writer: d.Header.Writer, Nonce: d.Header.Nonce}
	return d, p, err
}

// readParts reads what a pack's signature is over.
func (r *Repository) readParts(size int64, read func(n, off int64) ([]byte, error)) (h format.PackHeader, t format.Trailer, p signedParts, err error) {
	if size < format.PackHeaderSize+format.TrailerSize {
		return h, t, p, ivd.Errorf(ivd.Corrupt, "it is cut off: %d bytes", size)
	}
	end, err := read(min(size, directoryRead), max(0, size-directoryRead))
	if err != nil {
		return h, t, p, err
	}
	p.trailer = end[len(end)-format.TrailerSize:]
	if t, err = format.ReadTrailer(p.trailer, size, r.Suite().Cipher()); err != nil {
		return h, t, p, err
	}
	from := int64(len(end)) - size + int64(t.Offset) // of the directory, in end
	if from >= 0 {
		p.directory = end[from : from+int64(t.Length)]
	} else if p.directory, err = read(int64(t.Length), int64(t.Offset)); err != nil {
		return h, t, p, err
	}
	if p.header, err = read(format.PackHeaderSize, 0); err == nil {
		h, err = format.ReadPackHeader(p.header)
	}
	return h, t, p, err
}

// checkSignature checks that the writer that a pack names is registered, and has signed
// it. In a plain repository nobody signs.
func (r *Repository) checkSignature(ctx context.Context, h format.PackHeader, p signedParts) (requests int64, err error) {
	if r.Suite().Cipher() == format.CipherNone {
		return 0, nil
	}
	w, requests, err := r.registered(ctx, h.Writer)
	switch ivd.KindOf(err) {
	case ivd.NotFound:
		return requests, ivd.Errorf(ivd.Denied, "writer %s is not registered: nobody builds on its packs", h.Writer)
	case ivd.Corrupt:
		return requests, ivd.Errorf(ivd.Denied, "the record of writer %s is not whole: nobody builds on its packs: %w", h.Writer, err)
	}
	if err != nil {
		return requests, err
	}
	if h.Kind == format.DataPack && w.dataKey != h.DataKey {
		return requests, ivd.Errorf(ivd.Corrupt, "it is sealed to data key %s, and writer %s is registered with %s", h.DataKey, h.Writer, w.dataKey)
	}
	return requests, format.VerifyPack(p.header, p.directory, p.trailer, w.public)
}

// registered is what packs of a writer are checked by.
type registered struct {
	public   ed25519.PublicKey
	dataKey  ivd.KeyID
	frameKey []byte // sealed
}

// maxRegistered bounds what is kept of writers.
const maxRegistered = 4096

// registered reads a writer's record, once.
func (r *Repository) registered(ctx context.Context, id ivd.WriterID) (w registered, requests int64, err error) {
	s := &r.secrecy
	s.mu.Lock()
	w, known := s.writers[id]
	s.mu.Unlock()
	if known {
		return w, 0, nil
	}
	record, err := r.ReadWriter(ctx, id)
	if err != nil {
		return w, 1, err
	}
	if record.ID != id || len(record.Public) != ed25519.PublicKeySize {
		return w, 1, ivd.Errorf(ivd.Corrupt, "%s: writer %s with a key of %d bytes", r.writerName(id), record.ID, len(record.Public))
	}
	w = registered{public: ed25519.PublicKey(record.Public), dataKey: record.DataKey, frameKey: record.FrameKey}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.writers) >= maxRegistered || s.writers == nil {
		s.writers = map[ivd.WriterID]registered{} // they are read again
	}
	s.writers[id] = w
	return w, 1, nil
}
