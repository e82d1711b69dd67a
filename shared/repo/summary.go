package repo

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// Summarize stores a run's summary, runs/<run>. V is what its JSON is made of.
func (r *Repository) Summarize(ctx context.Context, run ivd.RunID, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode the summary of run %s: %w", run, err)
	}
	sealed, err := format.SealRecord(format.SummaryMagic, body)
	if err != nil {
		return fmt.Errorf("summary of run %s: %w", run, err)
	}
	if err := r.st.Put(ctx, summaryName(run), sealed); err != nil {
		return fmt.Errorf("store %s: %w", summaryName(run), err)
	}
	return nil
}

// ReadSummary reads a run's summary into v.
func (r *Repository) ReadSummary(ctx context.Context, run ivd.RunID, v any) error {
	o, err := r.get(ctx, summaryName(run), format.MaxRecord)
	if err != nil {
		return err
	}
	body, err := format.OpenRecord(format.SummaryMagic, o.Body)
	if err != nil {
		return fmt.Errorf("%s: %w", o.Name, err)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return ivd.Errorf(ivd.Corrupt, "%s: %w", o.Name, err)
	}
	return nil
}

// Summaries yields the runs that have a summary, in no order.
func (r *Repository) Summaries(ctx context.Context) iter.Seq2[ivd.RunID, error] {
	return func(yield func(ivd.RunID, error) bool) {
		for info, err := range r.st.List(ctx, summariesDir) {
			if err != nil {
				yield("", fmt.Errorf("list %s: %w", summariesDir, err))
				return
			}
			if !yield(ivd.RunID(info.Name[len(summariesDir):]), nil) {
				return
			}
		}
	}
}
