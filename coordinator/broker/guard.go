package broker

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/sys/unix"

	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
)

// guardEvery is how often it is looked whether the server can store.
const guardEvery = time.Second

// guard starts the server anew when what kept it from storing has passed: by itself it
// gives up for good at the first write that fails, and answers no publisher any more.
func (s *Server) guard(ctx context.Context) {
	for pause.For(ctx, guardEvery) == nil {
		failed := s.writeError()
		if failed == "" {
			continue
		}
		err := s.noStorage(failed)
		s.setTrouble(err)
		s.log.to.Error("the queue can store nothing", "err", err, "remedy", ivd.RemedyOf(err))
		for ; err != nil; err = s.revive(ctx) {
			if pause.For(ctx, guardEvery) != nil {
				return
			}
		}
		s.setTrouble(nil)
		s.log.to.Info("the queue stores again")
	}
}

// writeError is what the server says of a write that failed; empty: none has.
func (s *Server) writeError() string {
	h := s.server().Healthz(&server.HealthzOptions{})
	if _, text, found := strings.Cut(h.Error, "write error: "); found {
		return text
	}
	return ""
}

// noStorage is the error of all who want to store something.
func (s *Server) noStorage(failed string) error {
	e := &ivd.Error{
		Kind: ivd.Transient, Op: "store in " + s.options.Dir, Err: errors.New(failed),
		Remedy: "see what is wrong with the file system of state_dir; the queue goes on by itself",
	}
	if isFull(failed) {
		e.Err, e.Remedy = fmt.Errorf("its file system is full: %s", failed), "make space in the file system of state_dir; the queue goes on by itself"
	}
	return e
}

// isFull reports whether it is space that is missing. The server passes on no more than
// a text.
func isFull(text string) bool {
	return strings.Contains(text, unix.ENOSPC.Error()) || strings.Contains(text, unix.EDQUOT.Error())
}

// revive starts the server again, on its files, if they can be written.
func (s *Server) revive(ctx context.Context) error {
	if err := tryWriting(s.options.Dir); err != nil {
		return err
	}
	old := s.server()
	if a, ok := old.Addr().(interface{ AddrPort() netip.AddrPort }); ok && s.options.Listen != "" {
		s.port = int(a.AddrPort().Port()) // clients come back to it
	}
	old.Shutdown()
	old.WaitForShutdown()
	return s.launch(ctx)
}

// tryWriting tries whether the largest message could be stored.
func tryWriting(dir string) error {
	name := filepath.Join(dir, "try")
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 2*maxPayload))
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(name))
}

// Trouble is why nothing can be stored now; nil: it can, as far as is known.
func (s *Server) Trouble() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trouble
}

func (s *Server) setTrouble(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = err
}
