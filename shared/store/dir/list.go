package dir

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"path"
	"strings"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// List walks the folders that names with the prefix can lie in.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[store.Info, error] {
	op := "list " + prefix + "*"
	return func(yield func(store.Info, error) bool) {
		base := path.Dir(prefix + "x") // "a/b" → "a", "a/" → "a", "a" → "."
		if !fs.ValidPath(base) {
			yield(store.Info{}, s.failed(op, ivd.Errorf(ivd.Invalid, "bad prefix %q", prefix)))
			return
		}
		err := fs.WalkDir(s.root.FS(), base, func(name string, e fs.DirEntry, err error) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return s.visit(name, base, prefix, e, err, yield)
		})
		if errors.Is(err, fs.ErrNotExist) { // no folder for the prefix: nothing has it
			err = s.there()
		}
		if err != nil && !errors.Is(err, fs.SkipAll) {
			yield(store.Info{}, s.failed(op, err))
		}
	}
}

// visit yields one entry of the walk where it is an object with the prefix.
func (s *Store) visit(name, base, prefix string, e fs.DirEntry, err error, yield func(store.Info, error) bool) error {
	switch {
	case errors.Is(err, fs.ErrNotExist) && name != base: // removed while we walk
		return nil
	case err != nil:
		return err
	case name == base:
		return nil
	case e.Name()[0] == '.':
		return skip(e)
	case e.IsDir():
		if !strings.HasPrefix(name+"/", prefix) && !strings.HasPrefix(prefix, name+"/") {
			return fs.SkipDir
		}
		return nil
	case !strings.HasPrefix(name, prefix) || !e.Type().IsRegular() || store.Name(name).Validate() != nil:
		return nil
	}
	info, err := e.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !yield(infoOf(store.Name(name), info), nil) {
		return fs.SkipAll
	}
	return nil
}

func skip(e fs.DirEntry) error {
	if e.IsDir() {
		return fs.SkipDir
	}
	return nil
}
