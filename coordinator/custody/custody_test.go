package custody_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"testing"

	"ivdmover/coordinator/custody"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/keys"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/dir"
)

// cheap are parameters for tests.
var cheap = format.Argon2{Time: 1, Memory: 8 << 10, Threads: 1}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newRepository(t *testing.T, passphrase ivd.Secret) *repo.Repository {
	t.Helper()
	st, err := dir.Open(t.TempDir())
	must(t, err)
	r, err := repo.Init(t.Context(), st, repo.InitOptions{Passphrase: passphrase, Argon2: cheap})
	must(t, err)
	return r
}

// strangers are movers that the fleet refuses.
type strangers map[string]bool

func (s strangers) Know(_ context.Context, m job.Mover) error {
	if s[m.Name] {
		return ivd.Errorf(ivd.Denied, "other keys")
	}
	return nil
}

// A grant is for processes that are known, and holds neither data key, nor record key,
// nor anything that signs.
func TestGrant(t *testing.T) {
	t.Parallel()
	r, plain := newRepository(t, "a passphrase"), newRepository(t, "")
	d := &custody.Desk{Repo: r, Fleet: strangers{"mallory": true}, Log: slog.New(slog.DiscardHandler)}
	for _, c := range []struct {
		what string
		desk *custody.Desk
		m    job.Mover
		kind ivd.Kind
	}{
		{"a mover", d, job.Mover{Name: "m"}, ""},
		{"a process that is not known", d, job.Mover{Name: "mallory"}, ivd.Denied},
		{"a doctor", d, job.Mover{Name: "m/doctor-1", Doctor: true}, ivd.Denied},
		{"a plain repository", &custody.Desk{Repo: plain, Fleet: strangers{}, Log: d.Log}, job.Mover{Name: "m"}, ivd.Denied},
	} {
		b, err := c.desk.Grant(t.Context(), job.GrantRequest{Mover: c.m.Name}, c.m)
		if ivd.KindOf(err) != c.kind || (err == nil) != (len(b) > 0) {
			t.Errorf("%s: %d bytes, %v", c.what, len(b), err)
		}
	}
	b, err := d.Grant(t.Context(), job.GrantRequest{Mover: "m"}, job.Mover{Name: "m"})
	must(t, err)
	g, err := keys.DecodeGrant(b)
	must(t, err)
	opened, err := repo.OpenWith(t.Context(), r.Store(), repo.Keys{Grant: &g, Root: r.Root()})
	must(t, err)
	if opened.Suite().ID([]byte("a chunk")) != r.Suite().ID([]byte("a chunk")) {
		t.Error("with a grant contents are named or sealed otherwise")
	}
	var told map[string]any
	must(t, json.Unmarshal(b, &told))
	if got := slices.Sorted(maps.Keys(told)); !slices.Equal(got, []string{"domain", "id_key", "metadata_key", "repository", "root"}) {
		t.Errorf("a grant holds %v", got)
	}
	if _, err := opened.OpenLease(t.Context(), repo.LeaseSpec{}); ivd.KindOf(err) != ivd.Denied {
		t.Errorf("with a grant a lease is signed: %v", err)
	}
	if _, _, err := opened.ChunkKey(t.Context(), ivd.PackRef{}); err == nil {
		t.Error("with a grant a chunk's key is opened")
	}
}
