package dir

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/google/uuid"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// revokedPrefix begins the names of staging folders that were renamed away; no lease is
// called so.
const revokedPrefix = ".revoked-"

// Revoke renames the lease's staging folder away, and then removes what is in it: a
// process that stopped between its last look at the clock and link(2) finds nothing
// there to link.
func (s *Store) Revoke(ctx context.Context, lease ivd.LeaseID) error {
	op := "revoke what lease " + string(lease) + " has prepared"
	if err := cmp.Or(store.Name(lease).Validate(), ctx.Err(), s.mayWrite()); err != nil {
		return s.failed(op, err)
	}
	folder := path.Join(stagingDir, string(lease))
	away := path.Join(stagingDir, revokedPrefix+uuid.NewString())
	err := s.root.Rename(folder, away)
	s.forget(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return s.failed(op, s.there())
	}
	if err == nil {
		err = s.syncDir(stagingDir)
	}
	if err != nil {
		return s.failed(op, err)
	}
	_ = s.root.RemoveAll(away) // no object; the next one to open the store tries again
	return nil
}

// sweepStaging removes staging folders that were renamed away and could not be removed,
// and what was staged so long ago that it is dead, with its folder where that is empty:
// its lease may be gone, so that nobody revokes it.
func (s *Store) sweepStaging(now time.Time) {
	entries, err := fs.ReadDir(s.root.FS(), stagingDir)
	if err != nil {
		return
	}
	for _, e := range entries {
		folder := path.Join(stagingDir, e.Name())
		if strings.HasPrefix(e.Name(), revokedPrefix) {
			_ = s.root.RemoveAll(folder)
			continue
		}
		s.sweepOld(folder, now)
		if info, err := e.Info(); err == nil && now.Sub(info.ModTime()) > abandoned {
			_ = s.root.Remove(folder) // which fails where something is in it
		}
	}
}

// sweepOld removes the files of a folder that nobody waits for any more.
func (s *Store) sweepOld(folder string, now time.Time) {
	entries, err := fs.ReadDir(s.root.FS(), folder)
	if err != nil {
		return
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && now.Sub(info.ModTime()) > abandoned {
			_ = s.root.Remove(path.Join(folder, e.Name()))
		}
	}
}
