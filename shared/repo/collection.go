package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

// Collection is what is stored of a collection, collect/<domain>/<id>/.
type Collection struct {
	ID        string
	Published bool      // its condemned list is there
	Parts     []int     // the numbers of the parts that are there, whether a list names them or not
	Newest    time.Time // when the newest of its objects was modified
	Waits     *format.Waits
	Done      *format.Done
}

// Collections reads what is stored of all collections, in the order of their ids, but
// for the condemned lists themselves. What is not understood, or cannot be read, is an
// error.
func (r *Repository) Collections(ctx context.Context) ([]Collection, error) {
	folder := r.folder(collectDir)
	all := map[string]*Collection{}
	for info, err := range r.st.List(ctx, folder) {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", folder, err)
		}
		id, leaf, part, err := r.collectionObject(info.Name)
		if err != nil {
			return nil, err
		}
		c := all[id]
		if c == nil {
			c = &Collection{ID: id}
			all[id] = c
		}
		if info.Modified.After(c.Newest) {
			c.Newest = info.Modified
		}
		switch {
		case part > 0:
			c.Parts = append(c.Parts, part)
		case leaf == condemnedLeaf:
			c.Published = true
		}
	}
	var sorted []Collection
	for _, id := range slices.Sorted(maps.Keys(all)) {
		c := *all[id]
		var err error
		if c.Waits, err = r.ReadWaits(ctx, id); err == nil {
			c.Done, err = r.ReadDone(ctx, id)
		}
		if err != nil {
			return nil, err
		}
		sorted = append(sorted, c)
	}
	return sorted, nil
}

// collectionObject says what an object of a collection is. Kind Unsupported: it is none
// that this release knows.
func (r *Repository) collectionObject(name store.Name) (id, leaf string, part int, err error) {
	id, leaf, _ = strings.Cut(strings.TrimPrefix(string(name), r.folder(collectDir)), "/")
	switch k, isPart := strings.CutPrefix(leaf, condemnedLeaf+"."); {
	case leaf == condemnedLeaf, leaf == waitsLeaf, leaf == doneLeaf:
		return id, leaf, 0, nil
	case isPart:
		if part, err = strconv.Atoi(k); err == nil && part > 0 {
			return id, leaf, part, nil
		}
	}
	return "", "", 0, &ivd.Error{
		Kind: ivd.Unsupported, Op: "collection " + id, Err: fmt.Errorf("%s is not understood: what it condemns is not known", name),
		Remedy: "use a release of ivd that knows this format",
	}
}

func (r *Repository) collectName(id, leaf string) store.Name {
	return store.Name(r.folder(collectDir) + id + "/" + leaf)
}

// CollectionObjects are the names of all that a collection may have stored, in the order
// in which they are to be removed: who reads a list that goes meanwhile must find it gone
// before its parts.
func (r *Repository) CollectionObjects(c Collection) []store.Name {
	names := []store.Name{r.collectName(c.ID, condemnedLeaf)}
	for _, k := range c.Parts {
		names = append(names, r.collectName(c.ID, condemnedLeaf+"."+strconv.Itoa(k)))
	}
	return append(names, r.collectName(c.ID, waitsLeaf), r.collectName(c.ID, doneLeaf))
}

// CondemnedParts hands a collection's condemned list to add, and then its parts, one at a
// time. Kind NotFound: the list is gone. A list whose part is missing is an error of kind
// Corrupt.
func (r *Repository) CondemnedParts(ctx context.Context, id string, add func(format.Condemned) error) error {
	name := r.collectName(id, condemnedLeaf)
	o, err := r.get(ctx, name, format.MaxRecord)
	if err != nil {
		return err
	}
	list, err := decode(ctx, r, o, format.CondemnedMagic, format.DecodeCondemned)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := add(list); err != nil {
		return err
	}
	for i, sum := range list.Parts {
		part, err := r.readPart(ctx, name, i+1, sum)
		if ivd.KindOf(err) == ivd.NotFound {
			if err := r.missing(ctx, name, i+1); err != nil {
				return err
			}
			return ivd.Errorf(ivd.NotFound, "%s is gone", name)
		}
		if err == nil {
			err = add(part)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// CondemnedStands asks whether a collection's condemned list is there.
func (r *Repository) CondemnedStands(ctx context.Context, id string) (bool, error) {
	name := r.collectName(id, condemnedLeaf)
	switch _, err := r.st.Stat(ctx, name); {
	case ivd.KindOf(err) == ivd.NotFound:
		return false, nil
	case err != nil:
		return false, fmt.Errorf("ask for %s: %w", name, err)
	}
	return true, nil
}

// Condemning is a condemned list that is being made. Until it is published it is none.
type Condemning struct {
	r       *Repository
	id      string
	created time.Time
	part    format.Condemned
	entries int
	parts   []ivd.ContentID
}

// condemnedEntries is how many entries an object of a condemned list has at most: who
// reads a list holds one object of it in memory. Tests lower it.
var condemnedEntries = 100_000

// publishWithin is how long the parts of a list may lie there before it is published:
// they are taken for those of a dead collector later.
const publishWithin = 12 * time.Hour

// NewCondemning begins a list of a new collection.
func (r *Repository) NewCondemning() *Condemning {
	return &Condemning{r: r, id: uuid.NewString(), created: r.Now().UTC().Truncate(time.Second)}
}

// ID is the collection's.
func (c *Condemning) ID() string { return c.id }

// Pack condemns a pack.
func (c *Condemning) Pack(ctx context.Context, id ivd.PackID) error {
	c.part.Packs = append(c.part.Packs, id)
	return c.added(ctx)
}

// Writer condemns the record of a writer.
func (c *Condemning) Writer(ctx context.Context, id ivd.WriterID) error {
	c.part.Writers = append(c.part.Writers, id)
	return c.added(ctx)
}

// Point condemns a restore point.
func (c *Condemning) Point(ctx context.Context, id ivd.PointID) error {
	c.part.Points = append(c.part.Points, id)
	return c.added(ctx)
}

// added stores the part that is full.
func (c *Condemning) added(ctx context.Context) error {
	if c.entries++; c.entries < condemnedEntries {
		return nil
	}
	name := c.r.collectName(c.id, condemnedLeaf+"."+strconv.Itoa(len(c.parts)+1))
	body, err := c.encode(name, c.part)
	if err == nil {
		err = c.r.st.Put(ctx, name, body)
	}
	if err != nil {
		return fmt.Errorf("store %s: %w", name, err)
	}
	c.parts = append(c.parts, format.Sum(body))
	c.part, c.entries = format.Condemned{}, 0
	return nil
}

func (c *Condemning) encode(name store.Name, list format.Condemned) ([]byte, error) {
	list.Head, list.Created = c.r.head(name), c.created
	return c.r.encode(name, list)
}

// Publish makes the list stand, with one creation (C2), once all that it names is
// stored. An error leaves it open whether it stands: whoever collects next finds out.
func (c *Condemning) Publish(ctx context.Context) error {
	name := c.r.collectName(c.id, condemnedLeaf)
	list := c.part
	list.Parts = c.parts
	body, err := c.encode(name, list)
	if err != nil {
		return err
	}
	failures := commitAgain.Series()
	for {
		info, now, err := c.r.refresh(ctx)
		if err == nil {
			err = info.Allows(Collecting)
		}
		if err == nil && now.Sub(c.created) > publishWithin {
			return ivd.Errorf(ivd.Expired, "publish %s: it was begun %s ago, and its parts may be gone", name, now.Sub(c.created).Round(time.Minute))
		}
		if err == nil {
			err = create(ctx, c.r.st, name, body)
		}
		if ivd.KindOf(err) == ivd.Exists {
			return c.published(ctx, name, body)
		}
		if err == nil || failures.Wait(ctx, err) != nil {
			return err
		}
	}
}

// published reports, by its error, whether what is there is this list: an answer was lost.
func (c *Condemning) published(ctx context.Context, name store.Name, body []byte) error {
	o, err := c.r.get(ctx, name, format.MaxRecord)
	if err == nil && !bytes.Equal(o.Body, body) {
		err = ivd.Errorf(ivd.Exists, "%s is another list", name)
	}
	return err
}

// Abandon removes the parts of a list that is not going to be published.
func (c *Condemning) Abandon(ctx context.Context) error {
	for i := range c.parts {
		name := c.r.collectName(c.id, condemnedLeaf+"."+strconv.Itoa(i+1))
		if err := c.r.st.Delete(ctx, name); err != nil && !errors.Is(err, store.ErrVersionsKept) {
			return fmt.Errorf("remove %s: %w", name, err)
		}
	}
	return nil
}

// PutWaits lists the leases, and stores which there are as what a collection waits for
// (C3), unless that is stored already; it returns what is stored. The collection's list
// must have been published before.
func (r *Repository) PutWaits(ctx context.Context, id string) (format.Waits, error) {
	name := r.collectName(id, waitsLeaf)
	_, now, err := r.refresh(ctx)
	if err == nil {
		err = timed(repoName, now)
	}
	if err != nil {
		return format.Waits{}, err
	}
	w := format.Waits{Listed: now.UTC()}
	for l, err := range r.Leases(ctx) {
		if err != nil {
			return w, err
		}
		waited := format.WaitedLease{ID: l.ID, Kind: l.Kind, Owner: l.Owner, Deadline: l.Deadline.UTC()}
		if l.Unknown != nil {
			waited.Deadline = waited.Deadline.Add(Margin)
		}
		w.Leases = append(w.Leases, waited)
	}
	w.Head = r.head(name)
	body, err := r.encode(name, w)
	if err != nil {
		return w, err
	}
	if err := create(ctx, r.st, name, body); err != nil && ivd.KindOf(err) != ivd.Exists {
		return w, fmt.Errorf("store %s: %w", name, err)
	}
	stored, err := r.ReadWaits(ctx, id)
	if err == nil && stored == nil {
		err = ivd.Errorf(ivd.NotFound, "%s is gone", name)
	}
	if err != nil {
		return w, err
	}
	return *stored, nil
}

// ReadWaits reads what a collection waits for; nil where that is not stored.
func (r *Repository) ReadWaits(ctx context.Context, id string) (*format.Waits, error) {
	return readOptional(ctx, r, r.collectName(id, waitsLeaf), format.WaitsMagic, format.DecodeWaits)
}

// ReadDone reads that a collection's work is done; nil where that is not stored.
func (r *Repository) ReadDone(ctx context.Context, id string) (*format.Done, error) {
	return readOptional(ctx, r, r.collectName(id, doneLeaf), format.DoneMagic, format.DecodeDone)
}

// readOptional reads a record that need not be there.
func readOptional[T any](ctx context.Context, r *Repository, name store.Name, magic format.Magic, read func([]byte, format.At) (T, error)) (*T, error) {
	o, err := r.get(ctx, name, format.MaxRecord)
	if ivd.KindOf(err) == ivd.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	v, err := decode(ctx, r, o, magic, read)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &v, nil
}

// PutDone stores that a collection's work is done (C4), unless that is stored already.
func (r *Repository) PutDone(ctx context.Context, id string, deleted, spared format.Counts) error {
	name := r.collectName(id, doneLeaf)
	_, now, err := r.refresh(ctx)
	if err == nil {
		err = timed(repoName, now)
	}
	if err != nil {
		return err
	}
	body, err := r.encode(name, format.Done{Head: r.head(name), Ended: now.UTC(), Deleted: deleted, Spared: spared})
	if err == nil {
		err = create(ctx, r.st, name, body)
	}
	if err != nil && ivd.KindOf(err) != ivd.Exists {
		return fmt.Errorf("store %s: %w", name, err)
	}
	return nil
}

// MayCollect refuses, with kind Denied, where this process holds no key that signs the
// records of collections.
func (r *Repository) MayCollect() error {
	a := r.access()
	if a == nil || a.MaySign(format.CondemnedMagic) {
		return nil
	}
	return &ivd.Error{
		Kind: ivd.Denied, Err: fmt.Errorf("this process has no key with role %s", format.Collect),
		Remedy: "collect where repository.passphrase_file is set",
	}
}

// Begins reads repo.json anew, refuses a use that it does not allow, and returns the
// store's clock.
func (r *Repository) Begins(ctx context.Context, use Use) (time.Time, error) {
	info, now, err := r.refresh(ctx)
	if err == nil {
		err = info.Allows(use)
	}
	if err == nil {
		err = timed(repoName, now)
	}
	return now, err
}

// PointName is the object of a point, for who deletes it.
func (r *Repository) PointName(id ivd.PointID) store.Name { return pointName(id) }

// WriterName is the object of a writer's record, for who deletes it.
func (r *Repository) WriterName(id ivd.WriterID) store.Name { return r.writerName(id) }

// LeaseName is the object of a lease, for who asks for it or deletes it.
func (r *Repository) LeaseName(id ivd.LeaseID) store.Name { return leaseName(id) }
