package repo_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"ivdmover/shared/config"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store"
	"ivdmover/shared/store/open"
	"ivdmover/shared/store/storetest"
)

// alike stores small packs whose ids begin with the same byte, and so lie in one folder.
func alike(t *testing.T, r *repo.Repository, kind format.PackKind, first byte, n int) []ivd.PackID {
	t.Helper()
	w := writerOf(t, r)
	frame := format.ChunkFrame
	if kind == format.IndexPack {
		frame = format.NodeFrame
	}
	var packs []ivd.PackID
	for len(packs) < n {
		p := newPack(w, kind)
		addFrame(p, frame, bytes.Repeat([]byte{byte(len(packs))}, 100))
		if _, ref := p.Finish(); ref.Pack[0] == first {
			packs = append(packs, putPack(t, w, p).Pack)
		}
	}
	return packs
}

// hurt damages the first of the packs, one in each way that asking finds, and names what
// was never there.
func hurt(t *testing.T, r *repo.Repository, kind format.PackKind, packs []ivd.PackID) map[ivd.PackID]format.PackKind {
	t.Helper()
	ask := map[ivd.PackID]format.PackKind{{packs[0][0], 1}: kind, {packs[0][0], 2}: kind}
	for _, id := range packs {
		ask[id] = kind
	}
	name := r.PackName(kind, packs[0])
	if err := r.Store().Delete(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	for i, change := range []func([]byte) []byte{
		func(b []byte) []byte { return b[:len(b)-1] },
		func(b []byte) []byte { return b[:len(b)/2] },
		func([]byte) []byte { return nil },
		func(b []byte) []byte { return append(b, 0) },
		func(b []byte) []byte { return make([]byte, len(b)) },
	} {
		name := r.PackName(kind, packs[i+1])
		o, err := r.Store().Get(t.Context(), name, format.MaxPackSize)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Store().Put(t.Context(), name, change(o.Body)); err != nil {
			t.Fatal(err)
		}
	}
	return ask
}

// answers asks for packs, and wants one answer for each.
func answers(t *testing.T, a *repo.Asking, packs map[ivd.PackID]format.PackKind) (map[ivd.PackID]repo.Answer, repo.Requests) {
	t.Helper()
	var mu sync.Mutex
	got := map[ivd.PackID]repo.Answer{}
	cost, err := a.Look(t.Context(), packs, func(x repo.Answer) {
		mu.Lock()
		defer mu.Unlock()
		if _, twice := got[x.Pack]; twice {
			t.Errorf("pack %s has two answers", x.Pack)
		}
		got[x.Pack] = x
	})
	if err != nil || len(got) != len(packs) {
		t.Fatalf("%d answers of %d, %v", len(got), len(packs), err)
	}
	return got, cost
}

// single asks for each pack by itself.
func single(t *testing.T, r *repo.Repository, packs map[ivd.PackID]format.PackKind) map[ivd.PackID]*ivd.Damage {
	t.Helper()
	found := map[ivd.PackID]*ivd.Damage{}
	for id, kind := range packs {
		d, _, err := r.LookAtPack(t.Context(), kind, id)
		if err != nil {
			t.Fatal(err)
		}
		found[id] = d
	}
	return found
}

func damages(answers map[ivd.PackID]repo.Answer) map[ivd.PackID]*ivd.Damage {
	found := map[ivd.PackID]*ivd.Damage{}
	for id, a := range answers {
		found[id] = a.Damage
	}
	return found
}

// counter stands before an S3 service and counts its requests.
type counter struct {
	mu                 sync.Mutex
	heads, gets, lists int
}

func (c *counter) count(r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case r.URL.Query().Get("list-type") != "":
		c.lists++
	case r.Method == http.MethodHead:
		c.heads++
	case r.Method == http.MethodGet:
		c.gets++
	}
}

// take is what was counted since it was called before.
func (c *counter) take() (heads, gets, lists int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	heads, gets, lists = c.heads, c.gets, c.lists
	c.heads, c.gets, c.lists = 0, 0, 0
	return heads, gets, lists
}

func countedStore(t *testing.T) (store.Store, *counter) {
	t.Helper()
	s := storetest.S3(t)
	t.Setenv("AWS_ACCESS_KEY_ID", s.AccessKey.Reveal())
	t.Setenv("AWS_SECRET_ACCESS_KEY", s.SecretKey.Reveal())
	to, err := url.Parse(s.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	c := &counter{}
	proxy := httputil.NewSingleHostReverseProxy(to)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.count(r)
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	pathStyle := true
	st, err := open.Open(t.Context(), config.Repository{URL: "s3://" + s.Bucket + "/estate", Endpoint: front.URL, PathStyle: &pathStyle, Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	return st, c
}

// Whether packs are listed or asked for by themselves, the answers are the same, and
// what it took is counted. One page of a listing is worth 12.5 HEADs.
func TestAskingByListing(t *testing.T) {
	st, c := countedStore(t)
	r, err := repo.Init(t.Context(), st, repo.InitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []format.PackKind{format.DataPack, format.IndexPack} {
		packs := alike(t, r, kind, 0xab, 20)
		ask := hurt(t, r, kind, packs)
		want := single(t, r, ask)
		few := maps.Clone(ask)
		for _, id := range packs[8:] {
			delete(few, id)
		}
		c.take()
		got, cost := answers(t, r.Asking(), few)
		heads, _, none := c.take()
		if none != 0 || cost.Lists != 0 || heads != len(few) {
			t.Errorf("%s, %d asked for: %d listings, %+v, %d HEADs", kind, len(few), none, cost, heads)
		}
		for id, d := range damages(got) {
			if !reflect.DeepEqual(d, want[id]) {
				t.Errorf("%s: %+v, want %+v", id, d, want[id])
			}
		}
		a := r.Asking()
		got, cost = answers(t, a, ask)
		heads, gets, lists := c.take()
		if found := damages(got); !reflect.DeepEqual(found, want) {
			t.Errorf("%s by a listing: %v, want %v", kind, found, want)
		}
		for _, id := range packs[6:] {
			if o, err := r.Store().Stat(t.Context(), r.PackName(kind, id)); err != nil || got[id].Length != o.Size {
				t.Errorf("%s is %d bytes long, the answer says %d: %v", id, o.Size, got[id].Length, err)
			}
		}
		// Eight are missing or wrong: those are asked for by themselves, too. The store
		// asks a second time whether what is missing is.
		if lists != 1 || cost.Lists != 1 || heads != 8 || gets != 14+4+4+3 || int(cost.All) != lists+heads+gets-3 {
			t.Errorf("%s by a listing: %d listings, %d HEADs, %d GETs; it says %+v", kind, lists, heads, gets, cost)
		}
		// A listing serves all who ask after it.
		c.take()
		some := map[ivd.PackID]format.PackKind{packs[10]: kind, packs[11]: kind}
		if _, cost = answers(t, a, some); cost != (repo.Requests{All: 2}) {
			t.Errorf("again: %+v", cost)
		}
		if heads, gets, lists = c.take(); heads != 0 || gets != 2 || lists != 0 {
			t.Errorf("again: %d HEADs, %d GETs, %d listings", heads, gets, lists)
		}
	}
}

// What was stored after the listing is not missing.
func TestAskingForWhatIsNewer(t *testing.T) {
	b, r := made(t)
	b.page = 1000
	a := r.Asking()
	ask := func(packs []ivd.PackID) {
		t.Helper()
		m := map[ivd.PackID]format.PackKind{}
		for _, id := range packs {
			m[id] = format.DataPack
		}
		got, _ := answers(t, a, m)
		for id, d := range damages(got) {
			if d != nil {
				t.Errorf("%s: %+v", id, d)
			}
		}
	}
	ask(alike(t, r, format.DataPack, 7, 20))
	b.forget()
	ask(alike(t, r, format.DataPack, 7, 20))
	if log := b.did(); count(log, "list data/") != 0 {
		t.Errorf("listed again: %v", log)
	}
}

func count(log []string, prefix string) (n int) {
	for _, l := range log {
		if strings.HasPrefix(l, prefix) {
			n++
		}
	}
	return n
}

// A listing that fails, at its beginning or after some names, takes nothing for
// missing: what it did not show is asked for by itself. An outage of that is an error.
func TestAskingWhenAListingFails(t *testing.T) {
	for _, after := range []int{0, 5, 19} {
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			b, r := made(t)
			b.page = 1000
			packs := alike(t, r, format.DataPack, 0xab, 20)
			ask := hurt(t, r, format.DataPack, packs)
			want := single(t, r, ask)
			b.tear = func(prefix string, n int) error {
				if strings.HasPrefix(prefix, "data/") && n == after {
					return errOutage
				}
				return nil
			}
			a := r.Asking()
			b.forget()
			got, cost := answers(t, a, ask)
			if found := damages(got); !reflect.DeepEqual(found, want) {
				t.Errorf("%v, want %v", found, want)
			}
			log := b.did()
			if count(log, "list data/") != 1 || cost.Lists != 1 || int(cost.All) != len(log) {
				t.Errorf("%+v, %d calls", cost, len(log))
			}
			b.forget()
			if answers(t, a, ask); count(b.did(), "list ") != 0 {
				t.Error("it is listed again")
			}
			b.fail("stat", "data/")
			_, err := a.Look(t.Context(), map[ivd.PackID]format.PackKind{{0xab, 9}: format.DataPack}, func(x repo.Answer) { t.Errorf("an answer: %+v", x) })
			wantKind(t, err, ivd.Transient)
		})
	}
}

// A listing that turns out longer than HEADs are worth is broken off, and made again
// when what was asked for would have paid for it. Whenever it ends, all of it has cost
// at most twice what HEADs alone would have, and no more than a few listings would:
// fewest where names come in order, and say how long the listing is.
func TestAskingInAFullFolder(t *testing.T) {
	const listing = 10 * 25 // 10 requests of 20 names
	t.Run("in order", func(t *testing.T) { askInAFullFolder(t, true, 4, 6*listing) })
	t.Run("in any order", func(t *testing.T) { askInAFullFolder(t, false, 6, 8*listing) })
}

func askInAFullFolder(t *testing.T, ordered bool, listings, most int) {
	b, r := made(t)
	b.page, b.ordered = 20, ordered
	packs := alike(t, r, format.DataPack, 9, 200)
	a := r.Asking()
	b.forget()
	asked, pages := 0, 0
	for range 8 {
		for some := range slices.Chunk(packs, 10) {
			ask := map[ivd.PackID]format.PackKind{}
			for _, id := range some {
				ask[id] = format.DataPack
			}
			got, cost := answers(t, a, ask)
			for id, d := range damages(got) {
				if d != nil {
					t.Fatalf("%s: %+v", id, d)
				}
			}
			asked, pages = asked+len(some), pages+int(cost.Lists)
			price := 2*count(b.did(), "stat ") + 25*pages
			if price > 2*2*asked || price > most {
				t.Fatalf("%d packs were asked for at a price of %d: HEADs cost %d", asked, price, 2*asked)
			}
		}
	}
	if lists := count(b.did(), "list "); lists < 2 || lists > listings {
		t.Errorf("%d listings", lists)
	}
	b.forget()
	ask := map[ivd.PackID]format.PackKind{packs[0]: format.DataPack}
	if answers(t, a, ask); count(b.did(), "stat ") != 0 {
		t.Error("it is not listed in the end")
	}
}

// On a store where to list is no cheaper, nothing is listed.
func TestAskingWithoutListings(t *testing.T) {
	b, r := made(t)
	packs := alike(t, r, format.DataPack, 0xab, 20)
	ask := hurt(t, r, format.DataPack, packs)
	want := single(t, r, ask)
	b.forget()
	got, cost := answers(t, r.Asking(), ask)
	if log := b.did(); count(log, "list ") != 0 || cost.Lists != 0 || int(cost.All) != len(log) {
		t.Errorf("%+v, %d calls", cost, len(log))
	}
	if found := damages(got); !reflect.DeepEqual(found, want) {
		t.Errorf("%v, want %v", found, want)
	}
}
