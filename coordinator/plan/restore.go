package plan

import (
	"fmt"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// Target is what is known of a restore before its jobs are made.
type Target struct {
	Point    ivd.PointID
	Geometry ivd.Geometry  // the point's; the disk written to may be larger
	Pages    []ivd.PageRef // the point's
	Blank    bool          // the disk written to reads as zeros
	JobBytes int64         // 0: DefaultJobBytes

	WithoutLease bool // the point is read without a lease
}

// Restore makes the jobs of a restore. Pages that are all zero are in no job
// where the disk is blank; where it is not, they are named by a PageRef without
// an id, since their zeros must be written. A blank disk of zeros has no job.
func Restore(template job.Job, t Target) ([]job.Job, error) {
	if err := t.Geometry.Validate(); err != nil {
		return nil, ivd.Errorf(ivd.Corrupt, "plan: restore point %s: %w", t.Point, err)
	}
	if err := checkPages(t.Geometry, t.Pages); err != nil {
		return nil, fmt.Errorf("plan: restore point %s: %w", t.Point, err)
	}
	pages := t.Pages
	if !t.Blank {
		pages = withZeros(t.Geometry, t.Pages)
	}
	costs := make([]int64, len(pages))
	for i, ref := range pages {
		costs[i] = pageBytes(t.Geometry, ref.Page)
	}
	var jobs []job.Job
	for from, to := range cut(costs, t.JobBytes) { // indices of the list, not of the disk
		j := number(template, job.Restore, len(jobs)+1, t.Geometry)
		j.Restore = &job.RestoreSpec{Point: t.Point, Pages: pages[from:to:to], Blank: t.Blank, WithoutLease: t.WithoutLease}
		jobs = append(jobs, j)
	}
	return jobs, nil
}

// Verify makes the jobs that read a point and write nothing: those of a restore to a
// blank disk.
func Verify(template job.Job, t Target, how job.VerifySpec) ([]job.Job, error) {
	t.Blank = true
	jobs, err := Restore(template, t)
	for i := range jobs {
		jobs[i].Kind, jobs[i].Verify = job.Verify, &how
	}
	return jobs, err
}

// withZeros names every page of the disk.
func withZeros(g ivd.Geometry, named []ivd.PageRef) []ivd.PageRef {
	all := make([]ivd.PageRef, g.Pages())
	for i := range all {
		all[i].Page = ivd.PageIndex(i)
	}
	for _, ref := range named {
		all[ref.Page] = ref
	}
	return all
}
