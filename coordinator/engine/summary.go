package engine

import (
	"cmp"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// Record is what the repository's record of a run says whatever its workflow: all but
// what has become of its items.
func (v View) Record() format.Run {
	r := format.Run{
		ID: v.ID, Kind: string(v.Kind), State: string(v.State), Coordinator: v.Owner,
		Lease: v.Lease, Started: v.Created.UTC(), Ended: v.Ended.UTC(),
	}
	if v.Failure != nil {
		r.LeftOut = v.Failure.Message
	}
	return r
}

// Lost is how and why an item is not done, for the record of its run. Which disk it is
// the workflow knows.
func (it ItemView) Lost() format.RunFailure {
	f := format.RunFailure{State: string(cmp.Or(it.Result, Failed))}
	if it.Failure != nil {
		f.Reason = it.Failure.Message
	}
	return f
}

// AllDone wants a record of each job of an item, which says that it is done.
func AllDone(jobs []ivd.JobID, recs []job.Record) error {
	if len(recs) != len(jobs) {
		return ivd.Errorf(ivd.Permanent, "%d of %d jobs have a record at the end", len(recs), len(jobs))
	}
	for _, rec := range recs {
		if rec.State != job.Done {
			return ivd.Errorf(ivd.Permanent, "job %s is %s at the end", rec.ID, rec.State)
		}
	}
	return nil
}
