package backup

import (
	"context"
	"time"

	"ivdmover/coordinator/engine"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// Summary is a run as the repository keeps it.
type Summary struct {
	Version int           `json:"version"`
	ID      ivd.RunID     `json:"id"`
	Kind    engine.Kind   `json:"kind"`
	State   engine.State  `json:"state"`
	Created time.Time     `json:"created"`
	Ended   time.Time     `json:"ended"`
	Failure *ivd.Failure  `json:"failure,omitempty"` // what it left out
	Disks   []SummaryDisk `json:"disks"`
	Stats   ivd.Stats     `json:"stats"`
	Order
}

// SummaryDisk is what became of one disk.
type SummaryDisk struct {
	Disk
	Result     engine.State  `json:"result"`
	Failure    *ivd.Failure  `json:"failure,omitempty"`
	Started    time.Time     `json:"started,omitzero"`
	Ended      time.Time     `json:"ended,omitzero"`
	Stats      ivd.Stats     `json:"stats"`
	Transports []string      `json:"transports,omitempty"`
	Refused    []job.Refusal `json:"refused,omitempty"`
}

// Conclude writes the run's summary into the repository.
func (w *Workflow) Conclude(ctx context.Context, v engine.View) error {
	w.forget(v.Lease)
	s := Summary{
		Version: engine.Version, ID: v.ID, Kind: v.Kind, State: v.State, Created: v.Created, Ended: v.Ended,
		Failure: v.Failure, Stats: v.Stats,
	}
	if err := v.Decode(&s.Order); err != nil {
		return err
	}
	for _, it := range v.Items {
		d := SummaryDisk{
			Result: it.Result, Failure: it.Failure, Started: it.Started, Ended: it.Ended,
			Stats: it.Stats, Transports: it.Transports, Refused: it.Refused,
		}
		if err := it.Decode(&d.Disk); err != nil {
			return err
		}
		s.Disks = append(s.Disks, d)
	}
	return w.Repo.Summarize(ctx, v.ID, s)
}
