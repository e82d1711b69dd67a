package repo

import (
	"cmp"
	"context"
	"encoding/binary"
	"maps"
	"math"
	"path"
	"slices"
	"sync"
	"unsafe"

	"golang.org/x/sync/errgroup"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// Asking asks the store for packs, as many as there are: whether each is there, in the
// length in which it was stored. Where a listing of the folder in which they lie is
// cheaper than a HEAD for each, it takes their lengths from there.
//
// A listing only ever says that a pack is there, and how long it is. What it does not
// show, or shows in another length than the pack's end says, is asked for by itself
// before anything is said of it: so that a listing that fails, that ends early or that
// is older than a pack takes nothing for missing. Safe for concurrent use.
type Asking struct {
	r    *Repository
	page int // how many names a request of a listing brings; 0: there is none

	mu      sync.Mutex
	folders map[folderOf]*askedFolder
	kept    int                     // entries of all folders' listings
	pages   map[format.PackKind]int // requests that the longest listing of such a folder took, at least
}

// folderOf is where packs of a kind lie whose ids begin alike.
type folderOf struct {
	kind  format.PackKind
	first byte
}

// askedFolder is a folder, and what is known of it.
type askedFolder struct {
	mu     sync.Mutex // held while it is listed
	heads  int        // packs asked for by themselves, or about to be, since it was listed
	closed bool       // it is listed whole, or cannot be: there is no other listing
	packs  []listedPack
}

// listedPack is a pack as a listing shows it.
type listedPack struct {
	id     ivd.PackID
	length int64
}

// Requests is how many requests the store was asked, and how many of them were for
// listings, which cost more.
type Requests struct{ All, Lists int64 }

// Add adds o to n.
func (n *Requests) Add(o Requests) {
	n.All += o.All
	n.Lists += o.Lists
}

// Answer is what the store says of a pack.
type Answer struct {
	Pack   ivd.PackID
	Kind   format.PackKind
	Length int64       // of the object; 0 where it is not there
	Damage *ivd.Damage // nil: it is there, in its length
}

// Asking begins to ask. Its listings are kept as long as it is: it must be younger than
// what its answers are to be newer than.
func (r *Repository) Asking() *Asking {
	return &Asking{r: r, page: r.st.Properties().ListPage, folders: map[folderOf]*askedFolder{}, pages: map[format.PackKind]int{}}
}

// Size is what the listings take of memory, in bytes, about.
func (a *Asking) Size() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return int64(a.kept) * int64(unsafe.Sizeof(listedPack{}))
}

// A request of a listing costs as much as 12.5 for a single object: 0.005 against 0.0004
// dollars for 1,000 (Amazon S3 Standard, the pricing page's "PUT, COPY, POST, LIST" and
// "GET, SELECT, and all other requests", which HEAD is among).
const (
	listPrice = 25
	headPrice = 2
)

// keptListed is how many listed packs are kept, 40 bytes each, before all listings are
// let go. In an estate of 100 TB, whose packs are of 64 MiB, 230,000 have their turn
// in a night.
const keptListed = 1 << 18

// foldersAtOnce is how many folders are listed before their packs are asked for.
const foldersAtOnce = 16

// Look asks for each of the packs. Answer is called once for each, by several
// goroutines at once. An outage is an error and no answer.
func (a *Asking) Look(ctx context.Context, packs map[ivd.PackID]format.PackKind, answer func(Answer)) (Requests, error) {
	folders := map[folderOf][]ivd.PackID{}
	for id, kind := range packs {
		f := folderOf{kind, id[0]}
		folders[f] = append(folders[f], id)
	}
	q := &look{a: a, answer: answer}
	order := slices.SortedFunc(maps.Keys(folders), compareFolders)
	for some := range slices.Chunk(order, foldersAtOnce) {
		if err := q.folders(ctx, some, folders); err != nil {
			return q.cost, err
		}
	}
	return q.cost, nil
}

func compareFolders(a, b folderOf) int {
	return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.first, b.first))
}

// look is a Look under way.
type look struct {
	a      *Asking
	answer func(Answer)

	mu   sync.Mutex
	cost Requests
}

func (q *look) paid(n Requests) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.cost.Add(n)
}

// folders lists those of the folders where it is worth while, and then asks for the
// packs in them.
func (q *look) folders(ctx context.Context, folders []folderOf, packs map[folderOf][]ivd.PackID) error {
	known := q.a.known(folders)
	g, inner := errgroup.WithContext(ctx)
	g.SetLimit(q.a.r.connections())
	for i, f := range folders {
		g.Go(func() error {
			q.paid(q.a.list(inner, f, known[i], packs[f]))
			return inner.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	g, inner = errgroup.WithContext(ctx)
	g.SetLimit(q.a.r.connections())
	for i, f := range folders {
		for _, id := range packs[f] {
			g.Go(func() error {
				answer, cost, err := q.a.r.lookAt(inner, f.kind, id, known[i].length(id))
				q.paid(cost)
				if err == nil {
					q.answer(answer)
				}
				return err
			})
		}
	}
	return g.Wait()
}

// known is what is known of folders. Where too much is kept it is let go first.
func (a *Asking) known(folders []folderOf) []*askedFolder {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.kept > keptListed {
		clear(a.folders)
		a.kept = 0
	}
	known := make([]*askedFolder, len(folders))
	for i, f := range folders {
		if a.folders[f] == nil {
			a.folders[f] = &askedFolder{}
		}
		known[i] = a.folders[f]
	}
	return known
}

// list lists a folder for the packs that are to be asked for now, where that is cheaper.
//
// How many packs lie in a folder is not known before it is listed. Ids are even, so all
// folders of a kind are about as full: a listing is taken to be as long as the longest
// so far, or one page before there is any. It is worth while when HEADs for all that
// was asked for in the folder, and is to be now, cost more. Where it turns out longer
// than that it is broken off, and how far it came says how long the next would be. So all
// of it costs at most twice what HEADs alone would, and not much more than twice what
// one listing would.
func (a *Asking) list(ctx context.Context, f folderOf, known *askedFolder, packs []ivd.PackID) (cost Requests) {
	known.mu.Lock()
	defer known.mu.Unlock()
	for _, id := range packs {
		if known.find(id) == 0 {
			known.heads++
		}
	}
	a.mu.Lock()
	pages := max(1, a.pages[f.kind])
	a.mu.Unlock()
	worth := known.heads * headPrice / listPrice
	if a.page == 0 || known.closed || worth < pages {
		return cost
	}
	found, whole, err := a.read(ctx, f, worth*a.page)
	pages = max(1, (len(found)+a.page-1)/a.page)
	cost = Requests{All: int64(pages), Lists: int64(pages)}
	known.heads, known.closed = 0, whole || err != nil
	if !known.closed {
		pages = longer(worth, found)
	}
	slices.SortFunc(found, compareListed)
	a.mu.Lock()
	a.kept += len(found) - len(known.packs)
	a.pages[f.kind] = max(a.pages[f.kind], pages)
	a.mu.Unlock()
	known.packs = found
	return cost
}

// unevenness is by how much more may follow than the first thousand names let expect:
// three times their standard deviation.
const unevenness = 1.1

// longer is how many requests a listing takes that so many brought so far. Where names do
// not come in order it is twice as many, to begin with.
func longer(pages int, found []listedPack) int {
	if len(found) == 0 || !slices.IsSortedFunc(found, compareListed) {
		return 2 * pages
	}
	last := found[len(found)-1].id
	covered := float64(binary.BigEndian.Uint32(last[1:])) / (1 << 32)
	return max(pages+1, int(math.Ceil(unevenness*float64(pages)/max(covered, 1.0/(1<<20)))))
}

func compareListed(a, b listedPack) int { return comparePacks(a.id, b.id) }

// read reads a folder's names, at most so many, and reports whether they are all. What
// was found before an error is there all the same.
func (a *Asking) read(ctx context.Context, f folderOf, most int) (found []listedPack, whole bool, err error) {
	seen := 0
	for info, err := range a.r.st.List(ctx, a.r.packFolder(f.kind, f.first)) {
		if err != nil {
			return found, false, err
		}
		if id, err := ivd.ParsePackID(path.Base(string(info.Name))); err == nil && a.r.PackName(f.kind, id) == info.Name {
			found = append(found, listedPack{id, info.Size})
		}
		if seen++; seen == most {
			return found, false, nil
		}
	}
	return found, true, nil
}

// length is a pack's in the folder's listing; 0: it is not there, or is empty.
func (k *askedFolder) length(id ivd.PackID) int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.find(id)
}

func (k *askedFolder) find(id ivd.PackID) int64 {
	i, ok := slices.BinarySearchFunc(k.packs, id, func(p listedPack, id ivd.PackID) int { return comparePacks(p.id, id) })
	if !ok {
		return 0
	}
	return k.packs[i].length
}

// lookAt asks for a pack that is as long as that by a listing; 0: no listing says so.
func (r *Repository) lookAt(ctx context.Context, kind format.PackKind, id ivd.PackID, listed int64) (a Answer, cost Requests, err error) {
	a = Answer{Pack: id, Kind: kind, Length: listed}
	if listed > 0 {
		cost.All += endReads(listed)
		why, err := r.wrongLength(ctx, r.PackName(kind, id), listed)
		if err != nil || why == "" {
			return a, cost, err
		}
	}
	var requests int64
	a.Length, a.Damage, requests, err = r.lookAtPack(ctx, kind, id)
	cost.All += requests
	return a, cost, err
}
