package run

import (
	"context"
	"fmt"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/trust"
)

// recheck decides whether what a job sealed under an older lease may be named by a
// point under ours: nothing of it is on a list that stands after our lease was
// stored, and all of it is known to exist (COLLECT W3, W7).
func (a *active) recheck(ctx context.Context, rec job.Record, g ivd.Geometry) error {
	t, err := trust.Open(ctx, a.s.Repo, a.lease.ID)
	if err != nil {
		return err
	}
	for _, ref := range rec.Pages {
		page, err := a.s.Repo.Page(ctx, ref, g)
		if err != nil {
			return fmt.Errorf("page %d of job %s: %w", ref.Page, rec.ID, err)
		}
		packs := []ivd.PackID{ref.Place.Pack}
		for _, p := range page.Packs {
			packs = append(packs, p.Pack)
		}
		for _, p := range packs {
			good, err := t.Pack(ctx, p, rec.SealedAt)
			if err != nil {
				return err
			}
			if !good {
				return ivd.Errorf(ivd.Permanent, "pack %s, which job %s names, is being collected: back the disk up again", p, rec.ID)
			}
		}
	}
	return nil
}
