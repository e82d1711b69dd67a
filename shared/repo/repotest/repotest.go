// Package repotest makes repositories with restore points in them, for the tests of
// those who read points and build on them. The repository is a real one in a folder;
// its calls can be made to fail, and its clock be moved on. Only tests import it.
package repotest

import (
	"fmt"
	"testing"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/keys"
	"ivdmover/shared/repo"
	"ivdmover/shared/store"
	"ivdmover/shared/store/dir"
	"ivdmover/shared/store/faults"
	"ivdmover/shared/store/storetest"
)

// Repository is a repository for a test.
type Repository struct {
	*repo.Repository
	Store *faults.Store // all of the repository's calls go through it
	Clock *storetest.Clock
	Dir   string

	t      testing.TB
	points int
	lists  int
	places map[ivd.ContentID]ivd.Place // of all chunks that are stored
}

// New makes an empty repository, which is plain.
func New(t testing.TB) *Repository { return NewWith(t, repo.InitOptions{}) }

// Sealed makes an empty repository that is encrypted.
func Sealed(t testing.TB) *Repository {
	return NewWith(t, repo.InitOptions{Passphrase: Passphrase, Argon2: Argon2})
}

// Argon2 costs as little as may be.
var Argon2 = format.Argon2{Time: 1, Memory: 8 << 10, Threads: 1}

// Passphrase opens an encrypted repository.
const Passphrase ivd.Secret = "correct horse battery staple"

// NewWith makes an empty repository.
func NewWith(t testing.TB, o repo.InitOptions) *Repository {
	t.Helper()
	folder := t.TempDir()
	st, err := dir.Open(folder)
	must(t, err)
	t.Cleanup(func() { _ = st.Close() })
	r := On(t, st, o)
	r.Dir = folder
	return r
}

// On makes an empty repository in a store of the test's own.
func On(t testing.TB, st store.Store, o repo.InitOptions) *Repository {
	t.Helper()
	r := &Repository{Clock: &storetest.Clock{Store: st}, t: t, places: map[ivd.ContentID]ivd.Place{}}
	r.Store = faults.New(t, r.Clock)
	var err error
	r.Repository, err = repo.Init(t.Context(), r.Store, o)
	must(t, err)
	return r
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Lease opens a lease of a day.
func (r *Repository) Lease(kind format.LeaseKind) repo.Lease { return r.LeaseOf(kind, 0) }

// LeaseOf opens a lease.
func (r *Repository) LeaseOf(kind format.LeaseKind, life time.Duration) repo.Lease {
	r.t.Helper()
	l, err := r.OpenLease(r.t.Context(), repo.LeaseSpec{Kind: kind, Owner: "a test", Life: life})
	must(r.t, err)
	return l
}

// Pass lets time pass, and has the repository know of it.
func (r *Repository) Pass(d time.Duration) {
	r.t.Helper()
	r.Clock.Pass(d)
	l, err := r.OpenLease(r.t.Context(), repo.LeaseSpec{Kind: repo.ReadLease}) // asks for the time
	must(r.t, err)
	must(r.t, r.EndLease(r.t.Context(), l.ID))
}

// Condemn publishes a list of what is being deleted.
func (r *Repository) Condemn(packs []ivd.PackID, points ...ivd.PointID) {
	r.t.Helper()
	r.lists++
	head := r.head(fmt.Sprintf("collect/%s/list-%d/condemned", r.Domain(), r.lists))
	body, err := format.Condemned{Head: head, Created: r.Now(), Packs: packs, Points: points}.Encode()
	must(r.t, err)
	r.put(store.Name(head.Object), r.protect(body, head.Object))
}

// Retire lists a pack that nothing new builds on.
func (r *Repository) Retire(pack ivd.PackID) {
	r.t.Helper()
	r.lists++
	head := r.head(fmt.Sprintf("retired/%s/list-%d", r.Domain(), r.lists))
	body, err := format.PackList{Head: head, Kind: format.RetiredMagic, Reason: "a test", Created: r.Now(), Packs: []ivd.PackID{pack}}.Encode()
	must(r.t, err)
	r.put(store.Name(head.Object), r.protect(body, head.Object))
}

// In opens the repository, which is encrypted, in one of its domains.
func (r *Repository) In(domain string) *Repository {
	r.t.Helper()
	opened, err := repo.OpenWith(r.t.Context(), r.Store, repo.Keys{Passphrase: Passphrase, Domain: domain})
	must(r.t, err)
	return &Repository{Repository: opened, Store: r.Store, Clock: r.Clock, Dir: r.Dir, t: r.t, places: map[ivd.ContentID]ivd.Place{}}
}

// protect seals and signs a record, where the repository is encrypted.
func (r *Repository) protect(record []byte, object string) []byte {
	r.t.Helper()
	if r.Suite().Cipher() == format.CipherNone {
		return record
	}
	b, err := r.access().Protect(record, object)
	must(r.t, err)
	return b
}

// access is all keys of an encrypted repository.
func (r *Repository) access() *keys.Access {
	r.t.Helper()
	m, err := r.Master(r.t.Context(), Passphrase)
	must(r.t, err)
	a, err := m.Access(r.Domain())
	must(r.t, err)
	return a
}

// head is what a record begins with that is called so.
func (r *Repository) head(object string) format.Head {
	return format.Head{Repository: r.ID(), Domain: r.Domain(), Object: object, Program: "a test"}
}

// Delete removes a pack, as a collector does.
func (r *Repository) Delete(kind format.PackKind, pack ivd.PackID) {
	r.t.Helper()
	must(r.t, r.Clock.Delete(r.t.Context(), r.PackName(kind, pack)))
}

// Damage flips bits of a stored pack's byte.
func (r *Repository) Damage(kind format.PackKind, pack ivd.PackID, offset uint32) {
	r.t.Helper()
	name := r.PackName(kind, pack)
	o, err := r.Clock.Get(r.t.Context(), name, format.MaxPackSize)
	must(r.t, err)
	o.Body[offset] ^= 0x40
	r.put(name, o.Body)
}

// put stores an object behind the back of whoever counts the repository's calls.
func (r *Repository) put(name store.Name, body []byte) {
	r.t.Helper()
	must(r.t, r.Clock.Put(r.t.Context(), name, body))
}
