// Package plan turns what is to be read of a disk into jobs.
//
// It is pure: no I/O, no clock, the same input gives the same jobs. Each page of
// a disk is in exactly one backup job, in order, since only the mover can check
// that a parent's page is still whole and may be taken over. A chunk of which
// any byte is named by an area is read; what lies beyond the parent's end, and
// the parent's short last chunk, are read too. A job is whole pages, at most
// job.MaxPages, and ends early when it has enough bytes to read.
package plan

import (
	"fmt"
	"sort"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// DefaultJobBytes is how many bytes a job has to read before the next one begins.
// A job cut off costs another mover no more than this.
const DefaultJobBytes = 16 << 30

// Mode is how it was found out what to read.
type Mode string

// The modes, by the names that records carry.
const (
	Changed   Mode = "changed"   // areas changed since the parent; other chunks are the parent's
	InUse     Mode = "in_use"    // areas in use by vSphere; other chunks are zeros
	Allocated Mode = "allocated" // only VDDK knows; the mover asks
)

// Parent is the restore point that a backup builds on.
type Parent = job.Parent

// Disk is what is known of a disk before its jobs are made.
type Disk struct {
	Geometry ivd.Geometry
	Snapshot ivd.SnapshotID
	Mode     Mode
	Areas    []ivd.Extent // of Changed and InUse; in any order, they may overlap
	Parent   *Parent      // needed by Changed; for the others something to deduplicate against
	JobBytes int64        // 0: DefaultJobBytes
}

// Backup makes the jobs of a disk. Run, lease, disk and names come from the
// template; kind, id, geometry and the pages are set here. A disk without a byte
// has no job.
func Backup(template job.Job, d Disk) ([]job.Job, error) {
	if err := d.validate(); err != nil {
		return nil, err
	}
	work, err := bitmaps(d)
	if err != nil {
		return nil, err
	}
	var jobs []job.Job
	for from, to := range cut(costs(d, work), d.JobBytes) {
		spec := &job.BackupSpec{Snapshot: d.Snapshot, Unread: d.unread(), Allocated: d.Mode == Allocated}
		for page := from; page < to; page++ {
			spec.Pages = append(spec.Pages, page)
			spec.Spans = append(spec.Spans, work.page(page)...)
		}
		spec.Parent = parentOf(d.Parent, from, to)
		j := number(template, job.Backup, len(jobs)+1, d.Geometry)
		j.Backup = spec
		jobs = append(jobs, j)
	}
	return jobs, nil
}

func (d Disk) unread() job.Unread {
	if d.Mode == Changed {
		return job.UnreadParent
	}
	return job.UnreadZero
}

func (d Disk) validate() error {
	if err := d.Geometry.Validate(); err != nil {
		return ivd.Errorf(ivd.Invalid, "plan: %w", err)
	}
	switch d.Mode {
	case Changed:
		if d.Parent == nil {
			return ivd.Errorf(ivd.Invalid, "plan: changed areas without a parent")
		}
	case InUse:
	case Allocated:
		if len(d.Areas) > 0 {
			return ivd.Errorf(ivd.Invalid, "plan: %d areas where only VDDK knows them", len(d.Areas))
		}
	default:
		return ivd.Errorf(ivd.Invalid, "plan: unknown mode %q", d.Mode)
	}
	if d.Parent == nil {
		return nil
	}
	if got, want := d.Geometry.ChunkSize, d.Parent.Geometry.ChunkSize; got != want {
		return ivd.Errorf(ivd.Invalid, "plan: chunks of %d bytes on a parent of %d: a child keeps its parent's", got, want)
	}
	if d.Parent.Geometry.Capacity > d.Geometry.Capacity {
		return ivd.Errorf(ivd.Unsupported, "plan: the disk has %d bytes and its parent %d: a disk that shrank needs a full backup without a parent", d.Geometry.Capacity, d.Parent.Geometry.Capacity)
	}
	if err := checkPages(d.Parent.Geometry, d.Parent.Pages); err != nil {
		return fmt.Errorf("plan: parent %s: %w", d.Parent.Point, err)
	}
	return nil
}

// parentOf is the parent with the pages [from, to) only; never nil where the
// disk has a parent, since its time of commit and its end matter to every job.
func parentOf(p *Parent, from, to ivd.PageIndex) *Parent {
	if p == nil {
		return nil
	}
	at := func(page ivd.PageIndex) int {
		return sort.Search(len(p.Pages), func(i int) bool { return p.Pages[i].Page >= page })
	}
	first, end := at(from), at(to)
	part := *p
	part.Pages = p.Pages[first:end:end]
	return &part
}

// checkPages refuses lists that a point cannot have: they must ascend and lie on
// the disk.
func checkPages(g ivd.Geometry, pages []ivd.PageRef) error {
	last := ivd.PageIndex(-1)
	for _, ref := range pages {
		if ref.Page <= last || ref.Page >= g.Pages() {
			return ivd.Errorf(ivd.Corrupt, "page %d after page %d of %d", ref.Page, last, g.Pages())
		}
		last = ref.Page
	}
	return nil
}

func number(template job.Job, kind job.Kind, n int, g ivd.Geometry) job.Job {
	j := template
	j.Version = job.Version
	j.Kind = kind
	j.ID = ivd.JobID(fmt.Sprintf("j%04d", n))
	j.Geometry = g
	j.Backup, j.Restore = nil, nil
	return j
}
