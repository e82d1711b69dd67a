package disk

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/pause"
)

// cooling is for how long a path that failed is left alone.
var cooling = pause.Backoff{First: time.Minute, Cap: 30 * time.Minute}

// maxPaths bounds what a heartbeat says of paths.
const maxPaths = 200

// path is a datastore, reached by a transport. Its source belongs to it: another's
// datastore may have the same id.
type path struct {
	source    ivd.SourceID
	datastore ivd.DatastoreID
	transport string
}

func pathOf(ref ivd.DiskRef, transport string) path {
	return path{ref.Source(), ref.Datastore(), transport}
}

// record is what was found out about a path.
type record struct {
	failures    int // in a row
	until       time.Time
	reason      string
	read, write float64 // bytes a second
	used        time.Time
}

// paths remembers how the paths fare, for the life of a process.
type paths struct {
	now func() time.Time
	mu  sync.Mutex
	of  map[path]*record
}

func newPaths() *paths { return &paths{now: time.Now, of: map[path]*record{}} }

func (p *paths) get(at path) *record {
	r := p.of[at]
	if r == nil {
		r = &record{}
		p.of[at] = r
	}
	return r
}

// fail cools a path down. Several failures while it is cool are one: they began
// before it was known.
func (p *paths) fail(at path, reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, now := p.get(at), p.now()
	r.reason, r.used = reason, now
	if now.Before(r.until) {
		return
	}
	r.failures++
	r.until = now.Add(cooling.After(r.failures))
}

// work says that a disk was moved by a path: n bytes in the time that requests
// were under way. Little is no measure, but it says that the path is good.
func (p *paths) work(at path, write bool, n int64, busy time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.get(at)
	r.failures, r.until, r.reason, r.used = 0, time.Time{}, "", p.now()
	if n < 16<<20 || busy <= 0 {
		return
	}
	rate := float64(n) / busy.Seconds()
	to := &r.read
	if write {
		to = &r.write
	}
	if *to == 0 {
		*to = rate
		return
	}
	*to += (rate - *to) / 4
}

// order leaves out what is cool, with the reason. When nothing is left all are
// tried, the one first whose time ends first.
func (p *paths) order(ref ivd.DiskRef, modes []string) (keep []string, refused []job.Refusal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	until := func(mode string) time.Time {
		if r := p.of[pathOf(ref, mode)]; r != nil && now.Before(r.until) {
			return r.until
		}
		return time.Time{}
	}
	for _, mode := range modes {
		if t := until(mode); t.IsZero() {
			keep = append(keep, mode)
		} else {
			why := "not before " + t.UTC().Format(time.TimeOnly) + " UTC: " + p.of[pathOf(ref, mode)].reason
			refused = append(refused, job.Refusal{Transport: mode, Reason: why})
		}
	}
	if len(keep) > 0 {
		return keep, refused
	}
	keep = slices.Clone(modes)
	slices.SortStableFunc(keep, func(a, b string) int { return until(a).Compare(until(b)) })
	return keep, nil
}

// list is what a heartbeat says, the ones used last where there are too many.
func (p *paths) list() []job.Path {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	keys := make([]path, 0, len(p.of))
	for at := range p.of {
		keys = append(keys, at)
	}
	slices.SortFunc(keys, func(a, b path) int { return p.of[b].used.Compare(p.of[a].used) })
	keys = keys[:min(len(keys), maxPaths)]
	slices.SortFunc(keys, func(a, b path) int {
		return cmp.Or(cmp.Compare(a.source, b.source), cmp.Compare(a.datastore, b.datastore), cmp.Compare(a.transport, b.transport))
	})
	var list []job.Path
	for _, at := range keys {
		r := p.of[at]
		q := job.Path{Source: at.source, Datastore: at.datastore, Transport: at.transport, ReadRate: int64(r.read), WriteRate: int64(r.write)}
		if now.Before(r.until) {
			q.CoolUntil, q.Reason = r.until.UTC(), r.reason
		}
		list = append(list, q)
	}
	return list
}
