package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"ivdmover/coordinator/cli/progress"
	"ivdmover/shared/damage"
	pack "ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/open"
	"ivdmover/shared/telemetry"
)

// scrubbed is what `ivd verify --keyless` has found, as it is printed.
type scrubbed struct {
	Packs   int          `json:"packs"`
	Bytes   int64        `json:"bytes"`
	Damaged []ivd.Damage `json:"damaged"`
}

// keylessAtOnce is how many folders of packs are read at once.
const keylessAtOnce = 4

// verifyKeyless reads every pack of a repository with no key, and compares it with its
// name.
func (a *app) verifyKeyless(ctx context.Context, file string) error {
	cfg, err := loadForStore(file)
	if err != nil {
		return err
	}
	st, err := open.OpenWhatIsThere(ctx, cfg.Repository, nil)
	if err != nil {
		return err
	}
	r, err := repo.OpenKeyless(ctx, st)
	if err != nil {
		return err
	}
	wait := progress.NewWait(a.errs, time.Now)
	found, err := scrub(ctx, r, wait.Show)
	wait.Show("")
	if err != nil {
		return err
	}
	err = a.show(found, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "read and compared with their names: %d packs, %s\ndamaged: %d\n", found.Packs, telemetry.Bytes(found.Bytes), len(found.Damaged))
		for _, d := range found.Damaged {
			_, e := fmt.Fprintf(w, "  %s %s\n", damage.Name(r, d), d.Why)
			err = errors.Join(err, e)
		}
		return err
	})
	if n := len(found.Damaged); err == nil && n > 0 {
		err = &ivd.Error{
			Kind: ivd.Corrupt, Err: marked{errRun, fmt.Sprintf("%d packs are damaged", n)},
			Remedy: "put them back from another copy, or say so with `ivd repo retire` where the keys are: then backups store anew what the disks still have",
		}
	}
	return err
}

// scrub reads all packs, folder by folder.
func scrub(ctx context.Context, r *repo.Repository, tell func(string)) (scrubbed, error) {
	found := scrubbed{Damaged: []ivd.Damage{}}
	var mu sync.Mutex
	done := 0
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(keylessAtOnce)
	folder := func(kind pack.PackKind, first byte) error {
		for p, err := range r.PacksIn(ctx, kind, first) {
			var d *ivd.Damage
			if err == nil {
				d, err = readTwice(ctx, r, p)
			}
			if err != nil {
				return err
			}
			mu.Lock()
			found.Packs++
			found.Bytes += p.Length
			if d != nil {
				found.Damaged = append(found.Damaged, *d)
			}
			tell(fmt.Sprintf("reading packs: %d of 512 folders done, %d packs, %s, damaged: %d", done, found.Packs, telemetry.Bytes(found.Bytes), len(found.Damaged)))
			mu.Unlock()
		}
		mu.Lock()
		defer mu.Unlock()
		done++
		return nil
	}
	for _, kind := range []pack.PackKind{pack.DataPack, pack.IndexPack} {
		for first := range 256 {
			group.Go(func() error { return folder(kind, byte(first)) })
		}
	}
	err := group.Wait()
	return found, err
}

// readTwice compares a pack with its name. It is damaged where it is read wrongly twice;
// one that is gone by then was collected.
func readTwice(ctx context.Context, r *repo.Repository, p repo.ListedPack) (*ivd.Damage, error) {
	d, err := r.CheckPack(ctx, p.Kind, p.ID, nil)
	if err == nil && d != nil {
		d, err = r.CheckPack(ctx, p.Kind, p.ID, nil)
	}
	if d != nil && d.Why == repo.Missing {
		d = nil
	}
	return d, err
}
