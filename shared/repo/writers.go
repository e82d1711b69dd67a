package repo

import (
	"context"
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"

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

// Packs yields all packs that are stored, of both kinds, in no order.
func (r *Repository) Packs(ctx context.Context) iter.Seq2[format.StoredPack, error] {
	return func(yield func(format.StoredPack, error) bool) {
		for kind, dir := range map[format.PackKind]string{format.DataPack: dataDir, format.IndexPack: indexDir} {
			for info, err := range r.st.List(ctx, r.folder(dir)) {
				if err != nil {
					yield(format.StoredPack{}, fmt.Errorf("list %s: %w", dir, err))
					return
				}
				id, err := ivd.ParsePackID(path.Base(string(info.Name)))
				if err != nil || r.PackName(kind, id) != info.Name {
					continue // it is no pack
				}
				if !yield(format.StoredPack{ID: id, Kind: kind, Length: info.Size}, nil) {
					return
				}
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
