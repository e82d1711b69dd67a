package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// Get reads a whole file, and asks the file system for the time where that may be
// asked. What it returns is durable: its folder is synced, since whoever put it there
// may have died before that, and to read it may be how its success is found out.
func (s *Store) Get(ctx context.Context, name store.Name, limit int64) (store.Object, error) {
	op := "get " + string(name)
	f, info, err := s.open(ctx, name)
	if err != nil {
		return store.Object{}, s.failed(op, err)
	}
	defer f.Close()
	if info.Size > limit {
		return store.Object{}, s.failed(op, store.TooLarge(info.Size, limit))
	}
	body := make([]byte, info.Size)
	if _, err := io.ReadFull(f, body); err != nil {
		return store.Object{}, s.failed(op, short(err))
	}
	o := store.Object{Info: info, Body: body}
	if !s.readOnly {
		if o.Now, err = s.now(); err != nil {
			return store.Object{}, s.failed(op, err)
		}
		if err := s.settle(path.Dir(string(name)), o.Now); err != nil {
			return store.Object{}, s.failed(op, racing(err))
		}
	}
	return o, nil
}

// ReadAt reads a part of a file.
func (s *Store) ReadAt(ctx context.Context, name store.Name, p []byte, offset int64) error {
	op := fmt.Sprintf("read %d bytes at %d of %s", len(p), offset, name)
	if offset < 0 {
		return s.failed(op, ivd.Errorf(ivd.Invalid, "negative offset"))
	}
	f, _, err := s.open(ctx, name)
	if err != nil {
		return s.failed(op, err)
	}
	defer f.Close()
	if _, err := f.ReadAt(p, offset); err != nil {
		return s.failed(op, short(err))
	}
	return nil
}

// Stat asks for a file's size and time.
func (s *Store) Stat(ctx context.Context, name store.Name) (store.Info, error) {
	op := "stat " + string(name)
	if err := errors.Join(name.Validate(), ctx.Err()); err != nil {
		return store.Info{}, s.failed(op, err)
	}
	info, err := s.root.Stat(string(name))
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return store.Info{}, s.failed(op, err)
	}
	return infoOf(name, info), nil
}

func (s *Store) open(ctx context.Context, name store.Name) (*os.File, store.Info, error) {
	if err := errors.Join(name.Validate(), ctx.Err()); err != nil {
		return nil, store.Info{}, err
	}
	f, err := s.root.Open(string(name))
	if err != nil {
		return nil, store.Info{}, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist // a folder is no object
	}
	if err != nil {
		return nil, store.Info{}, errors.Join(err, f.Close())
	}
	return f, infoOf(name, info), nil
}

func infoOf(name store.Name, info fs.FileInfo) store.Info {
	return store.Info{Name: name, Size: info.Size(), Modified: info.ModTime()}
}

// short turns the end of a file into what package store promises for it.
func short(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &ivd.Error{Kind: ivd.Corrupt, Err: io.ErrUnexpectedEOF}
	}
	return err
}

// now is the file system's own clock, which of a network file system is the
// server's: the time of a file that is made for it.
func (s *Store) now() (time.Time, error) {
	f, name, err := s.create(tempDir)
	if err != nil {
		return time.Time{}, err
	}
	info, err := f.Stat()
	if err := errors.Join(err, f.Close(), s.root.Remove(name)); err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}
