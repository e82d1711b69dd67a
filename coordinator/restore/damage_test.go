package restore_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/restore"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// Of a disk that is restored by several jobs, of which each finds something, all of that
// is known and retired at once: the first that fails does not keep the others from
// finding it. A failure that says nothing of damage ends the restore at once.
func TestDamageThatSeveralJobsFind(t *testing.T) {
	t.Parallel()
	for name, damaged := range map[string]bool{"damage": true, "something else": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := coordtest.New(t)
			b.Disk("a", 130<<10)
			m := b.Mover("m1")
			c, _ := b.Serving("one")
			v := b.Until(c, b.Begin(c, backup.Request{All: true}).ID, coordtest.Ended)
			point := b.Backup(v.Items[0]).Point
			p, _, err := b.Repo.ReadPoint(t.Context(), point)
			b.Must(err)
			if len(p.Pages) < 2 {
				t.Fatalf("%d pages", len(p.Pages))
			}
			second := make(chan struct{})
			m.Set(func(m *coordtest.Puppet) {
				m.Work = func(ctx context.Context, rec job.Record) error {
					if rec.ID != "j0001" {
						select {
						case <-second:
						case <-ctx.Done():
						}
					}
					return ivd.Errorf(ivd.Corrupt, "what job %s reads is wrong", rec.ID)
				}
				if damaged {
					m.Damaged = func(rec job.Record) []ivd.Damage {
						pack := p.Pages[rec.ID[len(rec.ID)-1]-'1'].Place.Pack
						b.Must(b.Repo.Store().Delete(context.Background(), b.Repo.PackName(format.IndexPack, pack)))
						return []ivd.Damage{{Pack: pack, Index: true, Why: "is missing"}}
					}
				}
			})
			id := b.BeginRestore(c, restore.Request{Point: point, Name: "back"}).ID
			if damaged {
				b.Await(func() bool { return len(b.Said.Lines("level=WARN", "followed to their ends")) > 0 },
					func() string { return "nothing is said of the job that failed" })
				close(second)
			}
			v = b.Until(c, id, coordtest.Ended)
			if !damaged {
				close(second)
			}
			f := v.Items[0].Failure
			x, err := b.Repo.Retired(t.Context())
			b.Must(err)
			if v.State != engine.Failed || f == nil || (len(x.Packs()) == len(p.Pages)) != damaged || damaged && !strings.Contains(f.Message, fmt.Sprintf("packs that are missing or wrong: %d", len(p.Pages))) {
				t.Errorf("%s: %+v; retired are %d", v.State, f, len(x.Packs()))
			}
		})
	}
}
