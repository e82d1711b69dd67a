package worker

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ivdmover/shared/damage"
	"ivdmover/shared/image"
	"ivdmover/shared/ivd"
	"ivdmover/shared/telemetry"
)

// examine reads the packs whole of which a restore could not read something, before
// anybody is told that they are damaged: the record names those that are. Where none
// is, what was read wrongly is tried again.
func (t *attempt) examine(ctx context.Context, suspects []image.Suspect, err error) error {
	if kind := ivd.KindOf(err); err == nil || ctx.Err() != nil || kind != ivd.Corrupt && kind != ivd.NotFound {
		return err
	}
	damaged := 0
	var known []ivd.PackID
	for _, s := range suspects {
		d, failed := t.w.Repository.CheckPack(ctx, s.Kind, s.Pack, t.a.touch)
		if failed != nil {
			return fmt.Errorf("look closer at a pack of which something could not be read: %w", failed)
		}
		known = append(known, s.Pack)
		if d == nil {
			t.log.Warn("a pack was read wrongly, and is whole when it is read again", "pack", t.w.Repository.PackName(s.Kind, s.Pack))
			continue
		}
		damaged++
		t.record.found([]ivd.Damage{*d})
		t.log.Error("pack is damaged", "pack", t.w.Repository.PackName(s.Kind, s.Pack), "why", d.Why)
	}
	if damaged == 0 && len(suspects) > 0 {
		return &ivd.Error{Kind: ivd.Transient, Op: "what was read wrongly is whole when it is read again", Err: err}
	}
	if damaged > 0 {
		t.survey(ctx, known)
	}
	return err
}

// surveyLimit is how long a job that has found damage goes on to look for more.
const surveyLimit = time.Hour

// survey looks at all that is left of a restore's job, once something of it is known to
// be damaged: so that one restore, and not one for each pack, makes all of it known and
// retired. It writes nothing. Its other jobs do so with theirs.
func (t *attempt) survey(ctx context.Context, known []ivd.PackID) {
	pages := slices.Clone(t.job.Restore.Pages)
	pages = slices.DeleteFunc(pages, func(ref ivd.PageRef) bool { return ref.ID.IsZero() || ref.Page < t.record.rec.Next.Page() })
	t.log.Warn("something is damaged: all that the job has left to read is looked at, and nothing more is written", "pages", len(pages))
	if err := t.w.Memory.Reserve(ctx, damage.SurveyMemory); err != nil {
		t.log.Warn("no memory to look for more damage", telemetry.Err(err))
		return
	}
	defer t.w.Memory.Release(damage.SurveyMemory)
	until := time.Now().Add(surveyLimit)
	s := damage.Survey{
		Known: known, Room: maxDamaged - len(t.record.rec.Damaged), Tick: t.a.touch,
		Over: func() bool { return t.w.stopping() || time.Now().After(until) },
	}
	found, unread, err := s.Run(ctx, t.w.Repository, pages, t.job.Geometry)
	if err != nil && ctx.Err() == nil {
		t.log.Warn("looking for more damage failed", telemetry.Err(err))
	}
	for _, d := range found {
		t.log.Error("pack is damaged", "pack", damage.Name(t.w.Repository, d), "why", d.Why)
	}
	t.record.found(found)
	t.record.rec.Unread = unread
	t.log.Warn("looked for more damage", "found", len(found), "bytes_not_looked_at", unread)
}
