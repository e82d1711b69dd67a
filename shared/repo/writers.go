package repo

import (
	"context"
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// StoredWriter is a writer's record as it was found.
type StoredWriter struct {
	format.Writer
	// Unknown says why the record cannot be read; then only the id is known, by its name.
	Unknown error
}

// Writers reads the records of all writers, in the order of when they began. One that
// goes meanwhile is left out.
func (r *Repository) Writers(ctx context.Context) ([]StoredWriter, error) {
	names, err := r.names(ctx, r.folder(writersDir))
	if err != nil {
		return nil, err
	}
	var all []StoredWriter
	err = r.each(ctx, names, func(o store.Object) error {
		w, err := decode(ctx, r, o, format.WriterMagic, format.DecodeWriter)
		if err == nil {
			all = append(all, StoredWriter{Writer: w})
			return nil
		}
		unknown := StoredWriter{Unknown: fmt.Errorf("%s: %w", o.Name, err)}
		if unknown.ID.UnmarshalText([]byte(path.Base(string(o.Name)))) == nil {
			all = append(all, unknown)
		}
		return nil
	})
	slices.SortFunc(all, func(a, b StoredWriter) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID.String(), b.ID.String())
	})
	return all, err
}

// WriterIDs yields the ids under which writers have a record, in no order.
func (r *Repository) WriterIDs(ctx context.Context) iter.Seq2[ivd.WriterID, error] {
	folder := r.folder(writersDir)
	return func(yield func(ivd.WriterID, error) bool) {
		for info, err := range r.st.List(ctx, folder) {
			if err != nil {
				yield(ivd.WriterID{}, fmt.Errorf("list %s: %w", folder, err))
				return
			}
			var id ivd.WriterID
			if id.UnmarshalText([]byte(path.Base(string(info.Name)))) == nil && r.writerName(id) == info.Name && !yield(id, nil) {
				return
			}
		}
	}
}

// ReadWriter reads a writer's record. Kind NotFound: there is none.
func (r *Repository) ReadWriter(ctx context.Context, id ivd.WriterID) (format.Writer, error) {
	o, err := r.get(ctx, r.writerName(id), format.MaxRecord)
	if err != nil {
		return format.Writer{}, err
	}
	w, err := decode(ctx, r, o, format.WriterMagic, format.DecodeWriter)
	if err != nil {
		return w, fmt.Errorf("%s: %w", o.Name, err)
	}
	return w, nil
}

// ListedPack is what the store says of a pack.
type ListedPack struct {
	format.StoredPack
	Modified time.Time // by the store's clock; of a copied repository, when it was copied
}

// Packs yields all packs that are stored, of both kinds, in no order.
func (r *Repository) Packs(ctx context.Context) iter.Seq2[ListedPack, error] {
	return func(yield func(ListedPack, error) bool) {
		for kind, dir := range map[format.PackKind]string{format.DataPack: dataDir, format.IndexPack: indexDir} {
			for p, err := range r.packsBelow(ctx, kind, r.folder(dir)) {
				if !yield(p, err) || err != nil {
					return
				}
			}
		}
	}
}

// PacksIn yields the packs of a kind whose ids begin with a byte, in no order.
func (r *Repository) PacksIn(ctx context.Context, kind format.PackKind, first byte) iter.Seq2[ListedPack, error] {
	return r.packsBelow(ctx, kind, r.packFolder(kind, first))
}

// packsBelow yields the packs of a kind that lie below a folder. An error is the last.
func (r *Repository) packsBelow(ctx context.Context, kind format.PackKind, folder string) iter.Seq2[ListedPack, error] {
	return func(yield func(ListedPack, error) bool) {
		for info, err := range r.st.List(ctx, folder) {
			if err != nil {
				yield(ListedPack{}, fmt.Errorf("list %s: %w", folder, err))
				return
			}
			id, err := ivd.ParsePackID(path.Base(string(info.Name)))
			if err != nil || r.PackName(kind, id) != info.Name {
				continue // it is no pack
			}
			if !yield(ListedPack{format.StoredPack{ID: id, Kind: kind, Length: info.Size}, info.Modified}, nil) {
				return
			}
		}
	}
}

// PackHeader reads what a pack says of itself, such as who wrote it.
func (r *Repository) PackHeader(ctx context.Context, kind format.PackKind, id ivd.PackID) (format.PackHeader, error) {
	name := r.PackName(kind, id)
	b := make([]byte, format.PackHeaderSize)
	if err := r.st.ReadAt(ctx, name, b, 0); err != nil {
		return format.PackHeader{}, fmt.Errorf("read the header of %s: %w", name, err)
	}
	h, err := format.ReadPackHeader(b)
	if err != nil {
		return h, fmt.Errorf("%s: %w", name, err)
	}
	return h, nil
}
