package verify

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ivdmover/coordinator/engine"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// folders are all folders of packs: 256 of each kind.
func folders() []job.Folder {
	var list []job.Folder
	for i := range 512 {
		list = append(list, job.Folder{Index: i >= 256, First: byte(i)})
	}
	return list
}

// folderName is what people, and records of runs, call a folder; empty for none.
func folderName(f *job.Folder) string {
	switch {
	case f == nil:
		return ""
	case f.Index:
		return fmt.Sprintf("index/%02x", f.First)
	}
	return fmt.Sprintf("data/%02x", f.First)
}

// scrubs makes an item of each folder.
func scrubs(list []job.Folder) []engine.ItemSpec {
	items := make([]engine.ItemSpec, len(list))
	for i, f := range list {
		name := folderName(&f)
		items[i] = engine.ItemSpec{
			Key:  engine.ItemKey(name[:len(name)-3] + "-" + name[len(name)-2:]),
			Body: Check{Name: "packs of " + name, How: job.VerifySpec{Depth: job.Scrub, Folder: &f}},
		}
	}
	return items
}

// due are the folders whose turn it is: the longest ago first, by the records of runs, and
// so many that with a run a day each has its turn well within the time; after a gap,
// more.
func (w *Workflow) due(ctx context.Context) ([]job.Folder, error) {
	now := w.Repo.Now()
	read, last, err := w.read(ctx, 2*w.Every)
	if err != nil {
		return nil, err
	}
	all := folders()
	slices.SortStableFunc(all, func(a, b job.Folder) int { return read[folderName(&a)].Compare(read[folderName(&b)]) })
	return all[:share(len(all), now.Sub(last), last.IsZero(), w.Every)], nil
}

// lastRead is when a run began that has read folders, of the last two days; zero: none did.
func (w *Workflow) lastRead(ctx context.Context) (time.Time, error) {
	_, last, err := w.read(ctx, 2*24*time.Hour)
	return last, err
}

// read is when each folder was read last, by the records of the runs of that time, and the
// last of these moments.
func (w *Workflow) read(ctx context.Context, within time.Duration) (read map[string]time.Time, last time.Time, err error) {
	runs, err := w.runsSince(ctx, within)
	if err != nil {
		return nil, last, err
	}
	read = map[string]time.Time{}
	for _, id := range runs {
		r, err := w.Repo.ReadRun(ctx, id)
		switch ivd.KindOf(err) {
		case ivd.Corrupt, ivd.Unsupported, ivd.NotFound: // nobody knows what it read
			continue
		}
		if err != nil {
			return nil, last, err
		}
		for _, v := range r.Verified {
			if v.Folder == "" {
				continue
			}
			if r.Started.After(read[v.Folder]) {
				read[v.Folder] = r.Started
			}
			if r.Started.After(last) {
				last = r.Started
			}
		}
	}
	return read, last, nil
}

// share is how many of so many folders have their turn, when others had it so long ago.
func share(all int, since time.Duration, never bool, every time.Duration) int {
	const day = 24 * time.Hour
	if never || since < day {
		since = day
	}
	if every <= 0 || since >= every {
		return all
	}
	return min(all, int(float64(all)*1.2*float64(since)/float64(every))+1)
}
