package image

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// Structure reads what ranges of the disk are made of, and no content: their pages and
// nodes, what each page says that it needs, and the directory of every data pack, which
// must have each chunk where the node says. It yields span after span. It takes the
// memory of the directories that it keeps while it lasts.
func (im *Image) Structure(ctx context.Context, ranges iter.Seq[ivd.Extent]) iter.Seq2[ivd.Extent, error] {
	return func(yield func(ivd.Extent, error) bool) {
		if err := im.memory.Reserve(ctx, directoryMemory); err != nil {
			yield(ivd.Extent{}, err)
			return
		}
		defer im.memory.Release(directoryMemory)
		dirs := directories{im: im}
		for s, err := range im.spans(ctx, ranges) {
			if err == nil && s.node != nil {
				err = dirs.check(ctx, s)
			}
			if !yield(s.Extent, err) || err != nil {
				return
			}
		}
	}
}

const (
	// directoryMemory is what Structure takes, in bytes.
	directoryMemory = 8 << 20
	// maxEntries is how many entries of directories are kept.
	maxEntries = directoryMemory / 64
)

// directories keeps those of the data packs that were looked into last.
type directories struct {
	im      *Image
	known   map[ivd.PackID][]format.Entry
	entries int
}

// check looks for each chunk of a span in the directory of its pack.
func (d *directories) check(ctx context.Context, s spanOf) error {
	for c := range d.im.chunksOf(s) {
		if c.chunk.Zero() {
			continue
		}
		at := c.chunk.Place
		entries, err := d.of(ctx, at.Pack)
		if err != nil {
			return err
		}
		i, found := slices.BinarySearchFunc(entries, at.Offset, func(e format.Entry, off uint32) int { return int(int64(e.Offset) - int64(off)) })
		if !found || entries[i].Length != at.Length || entries[i].ID != c.chunk.ID {
			name := d.im.repository.PackName(format.DataPack, at.Pack)
			return d.im.suspect(format.DataPack, at.Pack, ivd.Errorf(ivd.Corrupt, "%s at %d: its directory does not have the chunk that span %d has there", name, at.Offset, s.index))
		}
	}
	return nil
}

// of is a pack's directory.
func (d *directories) of(ctx context.Context, pack ivd.PackID) ([]format.Entry, error) {
	if entries, ok := d.known[pack]; ok {
		return entries, nil
	}
	if err := d.im.hold.stands(ctx); err != nil {
		return nil, err
	}
	dir, _, err := d.im.repository.Directory(ctx, pack)
	if err != nil {
		return nil, d.im.suspect(format.DataPack, pack, fmt.Errorf("the directory of a pack: %w", err))
	}
	if d.known == nil || d.entries+len(dir.Entries) > maxEntries {
		d.known, d.entries = map[ivd.PackID][]format.Entry{}, 0
	}
	d.known[pack] = dir.Entries
	d.entries += len(dir.Entries)
	return dir.Entries, nil
}
