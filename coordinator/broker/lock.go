package broker

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"ivdmover/shared/ivd"
)

// lockDir locks the folder for this process until the file is closed. The kernel
// unlocks it when the process dies, however it dies.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, &ivd.Error{Kind: ivd.Permanent, Op: "create the state folder", Err: err, Remedy: "check state_dir and its rights"}
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, &ivd.Error{Kind: ivd.Permanent, Op: "lock the state folder", Err: err, Remedy: "check state_dir and its rights"}
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return f, nil
	}
	_ = f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, &ivd.Error{
			Kind:   ivd.Locked,
			Op:     "lock the state folder " + dir,
			Err:    errors.New("another `ivd serve` uses this state folder"),
			Remedy: "stop the other one, or give this one a state_dir of its own",
		}
	}
	return nil, &ivd.Error{Kind: ivd.Permanent, Op: "lock the state folder " + dir, Err: err, Remedy: "put state_dir on a local file system"}
}
