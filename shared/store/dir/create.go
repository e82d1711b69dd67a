package dir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sync"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// pending is a file staged in its lease's folder.
type pending struct {
	s      *Store
	name   store.Name
	staged string
	dies   time.Time // by the file system's clock

	mu   sync.Mutex
	sent bool
}

// Prepare stages the file; Send has then only a link to make. A collector that
// ends the lease renames the staging folder away first, and Send finds nothing.
func (s *Store) Prepare(ctx context.Context, lease ivd.LeaseID, name store.Name, body []byte, expiry time.Duration) (store.Pending, error) {
	op := "prepare " + string(name)
	if err := cmp.Or(name.Validate(), store.Name(lease).Validate(), s.mayWrite()); err != nil {
		return nil, s.failed(op, err)
	}
	now, err := s.now()
	if err != nil {
		return nil, s.failed(op, racing(err))
	}
	folder := path.Dir(string(name))
	s.forget(folder) // Send cannot make it again: look now whether it is there
	if err := s.makeDir(folder); err != nil {
		return nil, s.failed(op, racing(err))
	}
	staged, err := s.write(ctx, path.Join(stagingDir, string(lease)), body)
	if err != nil {
		return nil, s.failed(op, racing(err))
	}
	return &pending{s: s, name: name, staged: staged, dies: now.Add(expiry)}, nil
}

// Send links the staged file to its name, which fails where the name is taken.
func (p *pending) Send(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.s.failed("create "+string(p.name), p.send(ctx))
}

func (p *pending) send(ctx context.Context) error {
	if p.sent {
		return p.taken(errors.New("the name is taken, by this same request"))
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	now, err := p.s.now()
	if err != nil {
		return err
	}
	if !now.Before(p.dies) {
		return ivd.Errorf(ivd.Expired, "the request was to be sent before %s", p.dies.Format(time.RFC3339))
	}
	err = p.s.root.Link(p.staged, string(p.name))
	switch {
	case errors.Is(err, fs.ErrExist):
		return p.taken(err)
	case errors.Is(err, fs.ErrNotExist) && p.gone():
		return &ivd.Error{Kind: ivd.Expired, Err: fmt.Errorf("the lease's staged file is gone: %w", err)}
	case refused(err):
		return err
	case err != nil:
		return unsure(err)
	}
	p.sent = true
	if err := p.s.syncDir(path.Dir(string(p.name))); err != nil {
		return unsure(err)
	}
	_ = p.s.root.Remove(p.staged) // a second name of the same file: harmless where it stays
	return nil
}

// refused tells a definite answer of the file system from one that leaves the
// outcome open, as a network's may.
func refused(err error) bool {
	kind, _ := classify(err, "")
	return kind == ivd.Denied || kind == ivd.Full
}

// taken says that the name is taken, durably: whoever linked it may have died before
// it was synced, and its reader takes "exists" for stored.
func (p *pending) taken(why error) error {
	if err := p.s.syncDir(path.Dir(string(p.name))); err != nil {
		return unsure(err)
	}
	return &ivd.Error{Kind: ivd.Exists, Err: why}
}

// gone reports whether the staged file is definitely not there.
func (p *pending) gone() bool {
	_, err := p.s.root.Stat(p.staged)
	return errors.Is(err, fs.ErrNotExist) && p.s.there() == nil
}

// Discard removes what was staged, and the lease's folder with its last file.
func (p *pending) Discard() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.s.root.Remove(p.staged) // best effort: a collector removes the folders of ended leases
	if folder := path.Dir(p.staged); p.s.root.Remove(folder) == nil {
		p.s.forget(folder)
	}
}

// unsure says of a failed Send that its outcome is not known, whatever the cause
// would mean of another call: "no such file" is not "the object is absent".
func unsure(err error) error {
	return &ivd.Error{Kind: ivd.Transient, Op: "outcome not known", Err: err}
}
