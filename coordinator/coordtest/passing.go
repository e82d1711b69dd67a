package coordtest

import (
	"errors"
	"fmt"
	"sync"

	"ivdmover/shared/repo"
	"ivdmover/shared/store/faults"
)

// Passing counts the calls to the vCenter and to the store, and has one of them fail, as
// they do where either is away for a moment.
type Passing struct {
	mu     sync.Mutex
	at     int    // guarded by mu, like all below: the call that fails, from 1; 0: none
	calls  int    // since Fail
	failed string // which one did
}

// Passing has the vCenter, and the store of the coordinators and movers made from now on,
// fail where they are told to.
func (b *Bench) Passing() *Passing {
	b.Helper()
	p := &Passing{}
	b.Wire.Intercept(func(method, _ string) error { return p.next(method, errors.New("away for a moment")) })
	st := faults.New(b, b.StoreClock)
	st.Each = func(m faults.Method, name string) error { return p.next(string(m)+" "+name, faults.ErrInjected) }
	var err error
	b.Repo, err = repo.Open(b.Context(), st)
	b.Must(err)
	return p
}

// Fail has the n-th call from now on fail, once.
func (p *Passing) Fail(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.calls, p.failed = n, 0, ""
}

// Failed is the call that has failed since Fail; empty: there were fewer. From now on none
// does.
func (p *Passing) Failed() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = 0
	return p.failed
}

func (p *Passing) next(what string, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls++; p.calls != p.at {
		return nil
	}
	p.failed = fmt.Sprintf("call %d: %s", p.at, what)
	return err
}
