// Package cost forecasts what backups ask of a store, and what a service charges for that by
// the prices that its user gives. It is pure: it knows no store, no clock and no service, and
// has no prices of its own.
//
// The model is of requests: each disk of a run costs some whatever it holds, each pack some
// more, each run a few. Its figures were counted at an S3 server, and a test of the whole
// programs holds them to what such a server counts. What a disk holds, how well that
// compresses, and how much of it changes, nobody knows beforehand: they are assumed, and said.
package cost

import (
	"fmt"
	"math"
	"time"

	"ivdmover/coordinator/retain"
	"ivdmover/shared/ivd"
)

// Requests are numbers of requests of each kind, as package meter has them.
type Requests struct {
	Put    int64 `json:"put"`
	Get    int64 `json:"get"`
	Head   int64 `json:"head"`
	List   int64 `json:"list"`
	Delete int64 `json:"delete"`
}

// All is their number.
func (r Requests) All() int64 { return r.Put + r.Get + r.Head + r.List + r.Delete }

// Times is n times as many.
func (r Requests) Times(n float64) Requests {
	x := func(i int64) int64 { return int64(math.Round(float64(i) * n)) }
	return Requests{x(r.Put), x(r.Get), x(r.Head), x(r.List), x(r.Delete)}
}

func (r Requests) plus(o Requests) Requests {
	return Requests{r.Put + o.Put, r.Get + o.Get, r.Head + o.Head, r.List + o.List, r.Delete + o.Delete}
}

// What is asked for around each thing. Counted at a server: see the package comment.
var (
	ofRun       = Requests{Put: 6, Get: 14, Head: 1, List: 11, Delete: 3} // leases, its records, hooks, lists of others
	ofDisk      = Requests{Put: 1, Get: 5, List: 1}                       // its point, and the one before
	ofDataPack  = Requests{Put: 1, Get: 1, Head: 1}                       // stored, looked at, asked for before the commit
	ofIndexPack = Requests{Put: 1, Get: 4, Head: 1}
	ofParent    = Requests{Get: 6, Head: 1} // what an increment reads of it
)

const (
	// perChunk is what a chunk takes in nodes and directories, in bytes.
	perChunk = 104
	// page is the names that one request of a listing brings.
	page = 1000
	// month is what services charge by.
	month = 30 * 24 * time.Hour
)

// Assumptions are what nobody knows of disks that were not read yet.
type Assumptions struct {
	Used       float64 `json:"used"`         // the share of a disk that has content
	Stored     float64 `json:"stored"`       // the share that is left of content once it is compressed, and stored once
	Change     float64 `json:"change"`       // the share of content that changes from run to run
	RunsPerDay float64 `json:"runs_per_day"` // of the policy
}

// Check refuses what cannot be.
func (a Assumptions) Check() error {
	for _, s := range []struct {
		name  string
		share float64
	}{{"used", a.Used}, {"stored", a.Stored}, {"change", a.Change}} {
		if s.share < 0 || s.share > 1 || math.IsNaN(s.share) {
			return ivd.Errorf(ivd.Invalid, "%s: %g%%: want 0%% to 100%%", s.name, s.share*100)
		}
	}
	if !(a.RunsPerDay > 0 && a.RunsPerDay <= 288) {
		return ivd.Errorf(ivd.Invalid, "%g runs a day: want more than 0, and 288 at the most", a.RunsPerDay)
	}
	return nil
}

// Upkeep is what is done with what is stored, whether anything is backed up or not. A zero
// time: it is not done.
type Upkeep struct {
	Recheck time.Duration // in which each pack that backups build on is asked for
	Collect time.Duration // between collections
	Verify  time.Duration // in which each pack is read again, and each new one once
	Lock    time.Duration // for which objects are locked, and locked again in a quarter of it
}

// Packs are how a repository cuts what it stores.
type Packs struct {
	ChunkSize int64 // of new disks; 0: by the disk's capacity
	PackSize  int64
}

// Run is what one run of a policy takes.
type Run struct {
	Requests Requests `json:"requests"`
	Objects  int64    `json:"objects"`  // stored
	Stored   int64    `json:"stored"`   // bytes
	ReadBack int64    `json:"received"` // bytes that come from the store
}

// Month is a month of a policy: its runs, and what is done with what is stored.
type Month struct {
	Requests Requests `json:"requests"`
	Objects  int64    `json:"objects"`  // that are stored at its end
	Stored   int64    `json:"stored"`   // bytes, at its end
	Received int64    `json:"received"` // bytes that come from the store in it
	Points   int      `json:"points"`   // of each disk, that are kept at its end
}

// Forecast is what a policy takes.
type Forecast struct {
	Disks    int   `json:"disks"`
	Capacity int64 `json:"capacity"`
	First    Run   `json:"first_run"`
	Next     Run   `json:"next_run"`
	// FirstMonth has the first run in it; the twelfth what is kept by then.
	FirstMonth   Month `json:"first_month"`
	TwelfthMonth Month `json:"twelfth_month"`
}

// Of forecasts what a policy takes that keeps points by rules, of disks of some capacities
// in bytes.
func Of(capacities []int64, p Packs, a Assumptions, rules retain.Rules, up Upkeep) Forecast {
	f := Forecast{Disks: len(capacities)}
	f.First.Requests, f.Next.Requests = ofRun, ofRun
	f.First.Objects, f.Next.Objects = 4, 3 // the run's records, hooks, a writer
	for _, capacity := range capacities {
		f.Capacity += capacity
		content := int64(float64(capacity) * a.Used)
		p.add(&f.First, capacity, content, a.Stored)
		p.add(&f.Next, capacity, int64(float64(content)*a.Change), a.Stored)
		f.Next.Requests = f.Next.Requests.plus(ofParent)
	}
	f.FirstMonth = f.month(a, rules, up, 1)
	f.TwelfthMonth = f.month(a, rules, up, 12)
	return f
}

// add adds a disk's backup that stores so many bytes of its content, of which a share is
// left.
func (p Packs) add(r *Run, capacity, content int64, stored float64) {
	r.Requests = r.Requests.plus(ofDisk)
	r.Objects++ // its point
	if content == 0 {
		return
	}
	chunk := p.ChunkSize
	if chunk == 0 {
		chunk = ivd.AutoChunkSize(capacity)
	}
	chunks := (content + chunk - 1) / chunk
	body := int64(float64(content) * stored)
	index := chunks * perChunk
	data, indexes := p.count(body), p.count(index)
	r.Requests = r.Requests.plus(ofDataPack.Times(float64(data))).plus(ofIndexPack.Times(float64(indexes)))
	r.Objects += data + indexes
	r.Stored += body + index
	r.ReadBack += index
}

// count is the packs that so many bytes fill, one at the least.
func (p Packs) count(n int64) int64 { return max(1, (n+p.PackSize-1)/p.PackSize) }

// month is the n-th month from the first run on.
func (f Forecast) month(a Assumptions, rules retain.Rules, up Upkeep, n int) Month {
	runs := a.RunsPerDay * 30
	later := runs // of them those that are not the first one
	if n == 1 {
		later = max(runs-1, 0)
	}
	m := Month{
		Requests: f.Next.Requests.Times(later),
		Received: int64(float64(f.Next.ReadBack) * later),
		Points:   kept(a.RunsPerDay, rules, n),
	}
	added := float64(f.Next.Stored) * later
	if n == 1 {
		m.Requests = m.Requests.plus(f.First.Requests)
		m.Received += f.First.ReadBack
		added += float64(f.First.Stored)
	}
	older := float64(max(m.Points-1, 0))
	m.Objects = f.First.Objects + int64(older*float64(f.Next.Objects))
	m.Stored = f.First.Stored + int64(older*float64(f.Next.Stored))
	times := func(every time.Duration) float64 {
		if every <= 0 {
			return 0
		}
		return float64(month) / float64(every)
	}
	objects := m.Objects
	m.Requests = m.Requests.plus(Requests{Get: objects, Head: objects}.Times(times(up.Recheck)))
	if up.Collect > 0 {
		points := int64(f.Disks * m.Points)
		lists := (objects+page-1)/page + (points+page-1)/page*2
		gone := int64(math.Max(runs-older, 0)) * f.Next.Objects // what retention has given up
		m.Requests = m.Requests.plus(Requests{List: lists, Put: 3, Get: 3}.Times(times(up.Collect)))
		m.Requests = m.Requests.plus(Requests{Get: points, Delete: gone}) // each page of a point once
	}
	if up.Verify > 0 {
		m.Requests = m.Requests.plus(Requests{Get: objects}.Times(times(up.Verify)))
		m.Received += int64(float64(m.Stored)*times(up.Verify) + added)
	}
	m.Requests = m.Requests.plus(Requests{Put: objects}.Times(times(up.Lock / 4)))
	return m
}

// kept is how many points of a disk stay at the end of the n-th month.
func kept(perDay float64, rules retain.Rules, n int) int {
	from := time.Date(2026, 1, 1, 22, 0, 0, 0, time.UTC)
	every := time.Duration(float64(24*time.Hour) / perDay)
	var points []retain.Point
	for at, i := from, 0; at.Before(from.Add(time.Duration(n) * month)); at, i = at.Add(every), i+1 {
		points = append(points, retain.Point{ID: ivd.PointID(fmt.Sprintf("%06d", i)), At: at, Policy: "p", Known: retain.Proven})
	}
	stay := 0
	for _, v := range retain.Decide(points, "p", rules) {
		if v.Stays {
			stay++
		}
	}
	return stay
}

// Prices are what a service charges, in its user's currency: for a gigabyte (10^9 bytes)
// and month that is stored, for a thousand requests of a kind, for a gigabyte that is
// received.
type Prices struct {
	Storage, Put, Get, List, Delete, Received float64
}

// Requests is what requests cost. HEAD is charged as GET is.
func (p Prices) Requests(r Requests) float64 {
	return (float64(r.Put)*p.Put + float64(r.Get+r.Head)*p.Get + float64(r.List)*p.List + float64(r.Delete)*p.Delete) / 1000
}

const gigabyte = 1e9

// Bytes is what storing bytes for a month costs.
func (p Prices) Bytes(stored int64) float64 { return float64(stored) / gigabyte * p.Storage }

// Reading is what receiving bytes costs.
func (p Prices) Reading(received int64) float64 { return float64(received) / gigabyte * p.Received }

// Run is what a run costs, but for what it leaves stored.
func (p Prices) Run(r Run) float64 { return p.Requests(r.Requests) + p.Reading(r.ReadBack) }

// Month is what a month costs in all.
func (p Prices) Month(m Month) float64 {
	return p.Requests(m.Requests) + p.Reading(m.Received) + p.Bytes(m.Stored)
}
