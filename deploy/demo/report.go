package demo

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"ivdmover/deploy/stage"
)

// Result is what the demo measured, as it prints it.
type Result struct {
	Backups       []Backup `json:"backups"`
	RestoredBytes int64    `json:"restored_bytes"` // written by all restores
	Identical     int      `json:"identical"`      // restored disks that were compared
	Steps         []Step   `json:"steps"`
}

// Backup is one of the backups.
type Backup struct {
	Title string      `json:"title"`
	Run   string      `json:"run"`
	Stats stage.Stats `json:"stats"`
}

// Step is how long a part of the story took, in seconds.
type Step struct {
	Title   string  `json:"title"`
	Seconds float64 `json:"seconds"`
}

// report prints the closing table.
func (s *show) report() error {
	if s.JSON {
		e := json.NewEncoder(s.Out)
		e.SetIndent("", "  ")
		return e.Encode(s.result)
	}
	fmt.Fprintln(s.Out)
	w := tabwriter.NewWriter(s.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "backup\tdisks hold\tread\tzero\tdeduplicated\tnew\tcompressed to\tstored in all\t")
	for _, b := range s.result.Backups {
		t := b.Stats
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", b.Title, bytes(t.DiskBytes), bytes(t.ReadBytes), bytes(t.ZeroBytes),
			bytes(t.DedupBytes), bytes(t.NewBytes), bytes(t.CompressedBytes), bytes(t.StoredBytes))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(s.Out)
	total := 0.0
	for _, step := range s.result.Steps {
		fmt.Fprintf(s.Out, "%8.1f s  %s\n", step.Seconds, step.Title)
		total += step.Seconds
	}
	_, err := fmt.Fprintf(s.Out, "%8.1f s  in all\n\n%d restored disks (%s written): identical\n", total, s.result.Identical, bytes(s.result.RestoredBytes))
	return err
}
