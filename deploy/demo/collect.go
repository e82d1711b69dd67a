package demo

import (
	"context"
	"fmt"
)

// collect gives up all points but those of the last backup, and deletes them with what
// only they need.
func (s *show) collect(ctx context.Context) error {
	forget := []string{"forget", "--yes"}
	for _, r := range s.runs[:len(s.runs)-1] {
		for _, d := range r.Disks {
			short, err := s.ShortID(ctx, d.Point)
			if err != nil {
				return err
			}
			forget = append(forget, short)
		}
	}
	given := int64(len(forget) - 2)
	if err := s.Ask(ctx, nil, forget...); err != nil {
		return err
	}
	var report struct {
		Deleted struct {
			Points int64 `json:"points"`
			Packs  int64 `json:"packs"`
		} `json:"deleted"`
		Bytes int64 `json:"condemned_bytes"`
	}
	// More than half of the packs may go: it takes a word of its own.
	if err := s.Ask(ctx, &report, "collect", "--config", s.ConfigFile(), "--max-share", "100%"); err != nil {
		return err
	}
	s.Say("  %d points and %d packs are deleted, %s", report.Deleted.Points, report.Deleted.Packs, bytes(report.Bytes))
	if report.Deleted.Points != given || report.Deleted.Packs == 0 {
		return fmt.Errorf("%d points were given up, %d were deleted", given, report.Deleted.Points)
	}
	if err := s.Ask(ctx, nil, "points", "--check"); err != nil { // a damaged one is an error
		return err
	}
	for _, d := range s.last().Disks {
		if _, err := s.ShortID(ctx, d.Point); err != nil {
			return err
		}
	}
	s.Say("  the store has all that the newest points need")
	return nil
}
