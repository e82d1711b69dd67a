// Package socket is a unix socket in a folder of one user's: how the processes of a
// service reach each other on one machine, without a port that others could reach.
//
// The folder decides who gets in: Listen takes the rights of everybody else away from
// it. A path may be as long as the file system allows, where the kernel's own limit for
// a socket's address is 107 bytes. Linux only.
package socket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Listener listens on a socket.
type Listener struct {
	net.Listener
	path string
}

// Listen makes the socket's folder where it is missing, closes it to other users, and
// listens in it. A socket that is there is replaced: the caller makes sure that no
// living process has it. Close removes it.
func Listen(path string) (*Listener, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // a folder, its owner's alone
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var l net.Listener
	err := reach(path, func(address string) (err error) {
		l, err = net.Listen("unix", address)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // by then the address names nothing
	return &Listener{l, path}, nil
}

// Close ends the listening and removes the socket.
func (l *Listener) Close() error {
	return errors.Join(l.Listener.Close(), os.Remove(l.path))
}

// Dial connects to a socket.
func Dial(ctx context.Context, path string) (net.Conn, error) {
	var c net.Conn
	err := reach(path, func(address string) (err error) {
		c, err = new(net.Dialer).DialContext(ctx, "unix", address)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", path, err)
	}
	return c, nil
}

// reach calls do with an address of the socket that is short enough for the kernel.
// Its error is the innermost, which does not show that address.
func reach(path string, do func(address string) error) error {
	dir, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(dir) }() // nothing was written
	err = do(fmt.Sprintf("/proc/self/fd/%d/%s", dir, filepath.Base(path)))
	var shell *net.OpError
	if errors.As(err, &shell) {
		return shell.Err
	}
	return err
}
