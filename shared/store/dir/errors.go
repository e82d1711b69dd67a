package dir

import (
	"errors"
	"io/fs"
	"syscall"

	"ivdmover/shared/ivd"
)

// failed classifies an error of the file system. It is the one place that does.
func (s *Store) failed(op string, err error) error {
	if err == nil {
		return nil
	}
	op = op + " in " + s.String()
	if kind := ivd.KindOf(err); kind != ivd.Unknown {
		return &ivd.Error{Kind: kind, Op: op, Err: err}
	}
	if errors.Is(err, fs.ErrNotExist) {
		if gone := s.there(); gone != nil {
			err = gone
		}
	}
	kind, remedy := classify(err, s.path)
	return &ivd.Error{Kind: kind, Op: op, Err: err, Remedy: remedy}
}

// racing says of a write that met "no such file" that something removed its
// folders meanwhile: the object's absence is no news to who writes it.
func racing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &ivd.Error{Kind: ivd.Transient, Err: err}
	}
	return err
}

var errGone = errors.New("the repository's folder has been removed")

// there reports whether the folder itself still exists: without it, every name in
// it looks absent.
func (s *Store) there() error {
	info, err := s.root.Stat(".")
	if err != nil {
		return errors.Join(errGone, err)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Nlink == 0 {
		return &ivd.Error{Kind: ivd.Transient, Err: errGone, Remedy: "bring " + s.path + " back, or restart to use what is there now"}
	}
	return nil
}

func classify(err error, folder string) (ivd.Kind, string) {
	switch {
	case errors.Is(err, errGone):
		return ivd.Transient, "bring " + folder + " back, or restart to use what is there now"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return ivd.Full, "free space below " + folder + " or move the repository to a larger file system"
	case errors.Is(err, syscall.EROFS):
		return ivd.Denied, "mount the file system of " + folder + " writable"
	case errors.Is(err, fs.ErrPermission):
		return ivd.Denied, "give this user read and write access to " + folder
	case errors.Is(err, fs.ErrNotExist):
		return ivd.NotFound, ""
	case errors.Is(err, fs.ErrExist):
		return ivd.Exists, ""
	case errors.Is(err, syscall.ESTALE), errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, syscall.EAGAIN),
		errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.EINTR):
		return ivd.Transient, ""
	case errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR):
		return ivd.Invalid, ""
	}
	return ivd.Unknown, ""
}

// openError explains a folder that cannot be opened.
func openError(op, folder string, err error) error {
	kind, remedy := classify(err, folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		kind, remedy = ivd.Unmet, "create the folder (mkdir -p "+folder+"), or mount what should be there"
	case errors.Is(err, syscall.ENOTDIR):
		kind, remedy = ivd.Unmet, "name a folder: "+folder+" is something else"
	}
	return &ivd.Error{Kind: kind, Op: op, Err: err, Remedy: remedy}
}
