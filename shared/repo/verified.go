package repo

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

const (
	// provenPacks is how many packs a list of proven ones has at most.
	provenPacks = 1 << 15
	// maxVerified is the bytes of a list of proven packs that is read.
	maxVerified = 4 << 20
)

// PutVerified stores that packs are proven (ProvePack), verified/<domain>/<list>. Kind
// Denied: this process has no key with role verify.
func (r *Repository) PutVerified(ctx context.Context, reason string, packs []ivd.PackID) error {
	at := r.Now().UTC().Truncate(time.Second)
	for part := range slices.Chunk(packs, provenPacks) {
		name := store.Name(r.folder(verifiedDir) + uuid.NewString())
		body, err := r.encode(name, format.PackList{Head: r.head(name), Kind: format.VerifiedMagic, Created: at, Reason: reason, Packs: part})
		if err == nil {
			err = r.st.Put(ctx, name, body)
		}
		if err != nil {
			return fmt.Errorf("store %s: %w", name, err)
		}
	}
	return nil
}

// MayVerify refuses, with kind Denied, where this process holds no key that signs which
// packs are proven.
func (r *Repository) MayVerify() error {
	a := r.access()
	if a == nil || a.MaySign(format.VerifiedMagic) {
		return nil
	}
	return &ivd.Error{
		Kind: ivd.Denied, Err: fmt.Errorf("this process has no key with role %s", format.Verify),
		Remedy: "verify new packs where repository.passphrase_file is set",
	}
}

// VerifiedLists names the lists of proven packs.
func (r *Repository) VerifiedLists(ctx context.Context) ([]store.Name, error) {
	return r.names(ctx, r.folder(verifiedDir))
}

// Verified reads a list of proven packs, which are in the order of their ids. In an
// encrypted repository who has signed it may.
func (r *Repository) Verified(ctx context.Context, name store.Name) (created time.Time, packs []ivd.PackID, err error) {
	o, err := r.get(ctx, name, maxVerified)
	if err != nil {
		return created, nil, err
	}
	list, err := decode(ctx, r, o, format.VerifiedMagic, func(b []byte, at format.At) (format.PackList, error) {
		return format.DecodePackList(format.VerifiedMagic, b, at)
	})
	if err != nil {
		return created, nil, fmt.Errorf("%s: %w", name, err)
	}
	return list.Created, list.Packs, nil
}

// provePiece is how much of a pack ProvePack reads at once, but for a larger frame.
const provePiece = 1 << 20

// ProvePack reads a whole data pack and opens every frame: whether it is what its name
// says, its writer is registered and has signed it, and each frame holds the content that
// the directory says. It returns what is wrong, or nil: then it is proven, and who
// deduplicates against it relies on no writer's word. The keys of its chunks must be had.
// Tick is called now and then; it may be nil. An outage is an error and no verdict, and so
// is what cannot be judged here (kind Denied, Unsupported).
func (r *Repository) ProvePack(ctx context.Context, id ivd.PackID, tick func()) (*ivd.Damage, error) {
	return r.ProvePackWith(ctx, id, nil, tick)
}

// ProvePackWith is ProvePack with keys of somebody who gives them; nil: this process's own.
func (r *Repository) ProvePackWith(ctx context.Context, id ivd.PackID, keys PackKeys, tick func()) (*ivd.Damage, error) {
	err := r.provePack(ctx, id, keys, tick)
	switch ivd.KindOf(err) {
	case ivd.NotFound:
		return &ivd.Damage{Pack: id, Why: Missing}, nil
	case ivd.Corrupt:
		return &ivd.Damage{Pack: id, Why: "is not what its writer says: " + err.Error()}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("prove %s: %w", r.PackName(format.DataPack, id), err)
	}
	return nil, nil
}

func (r *Repository) provePack(ctx context.Context, id ivd.PackID, keys PackKeys, tick func()) error {
	d, _, err := r.Directory(ctx, id)
	if err != nil {
		return err
	}
	o, err := r.chunkOpener(ctx, d, keys)
	if err != nil {
		return err
	}
	name, sum := r.PackName(format.DataPack, id), format.NewPackHash()
	var buf []byte
	read := func(from, to int64) error {
		buf = slices.Grow(buf[:0], int(to-from))[:to-from]
		if err := r.st.ReadAt(ctx, name, buf, from); err != nil {
			return fmt.Errorf("read %s at %d: %w", name, from, err)
		}
		_, _ = sum.Write(buf) // never fails
		if tick != nil {
			tick()
		}
		return nil
	}
	head := int64(d.Header.Size())
	if err := read(0, head); err != nil {
		return err
	}
	if err := r.checkFrameKey(ctx, d.Header, buf[format.PackHeaderSize:]); err != nil {
		return err
	}
	var plain []byte
	for at, i := head, 0; i < len(d.Entries); {
		first, end := i, at
		for i < len(d.Entries) && (i == first || end+int64(d.Entries[i].Length)-at <= provePiece) {
			end += int64(d.Entries[i].Length)
			i++
		}
		if err := read(at, end); err != nil {
			return err
		}
		for n := first; n < i; n++ {
			e := d.Entries[n]
			frame := buf[int64(e.Offset)-at:][:e.Length]
			if plain, err = o.Entry(plain, frame, format.DataPack, e, n); err != nil {
				return err
			}
		}
		at = end
	}
	if err := read(int64(d.Trailer.Offset), d.Length); err != nil {
		return err
	}
	if got := ivd.PackID(sum.Sum(nil)); got != id {
		return ivd.Errorf(ivd.Corrupt, "its bytes are those of pack %s", got)
	}
	return nil
}

// chunkOpener is what opens the frames of a pack whose directory was read.
func (r *Repository) chunkOpener(ctx context.Context, d Directory, keys PackKeys) (*format.Opener, error) {
	if d.Header.Cipher == format.CipherNone {
		return new(format.Opener), nil
	}
	ask := r.chunkKey
	if keys != nil {
		ask = keys.ChunkKey
	}
	_, key, err := ask(ctx, d.Ref)
	if ivd.KindOf(err) == ivd.NotFound { // not the pack
		err = &ivd.Error{Kind: ivd.Denied, Err: err}
	}
	if err != nil {
		return nil, fmt.Errorf("the key of its chunks: %w", err)
	}
	return r.Suite().Opener(d.Header, &key)
}

// checkFrameKey checks that the frame key in a pack is the one that its writer's record
// has: who has lost the record reads the pack by it.
func (r *Repository) checkFrameKey(ctx context.Context, h format.PackHeader, sealed []byte) error {
	if len(sealed) == 0 {
		return nil
	}
	w, _, err := r.registered(ctx, h.Writer)
	if err == nil && !bytes.Equal(w.frameKey, sealed) {
		err = ivd.Errorf(ivd.Corrupt, "its frame key is not that of writer %s", h.Writer)
	}
	return err
}
