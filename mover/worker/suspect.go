package worker

import (
	"context"
	"fmt"

	"ivdmover/shared/image"
	"ivdmover/shared/ivd"
)

// examine reads the packs whole of which a restore could not read something, before
// anybody is told that they are damaged: the record names those that are. Where none
// is, what was read wrongly is tried again.
func (t *attempt) examine(ctx context.Context, suspects []image.Suspect, err error) error {
	if kind := ivd.KindOf(err); err == nil || ctx.Err() != nil || kind != ivd.Corrupt && kind != ivd.NotFound {
		return err
	}
	damaged := 0
	for _, s := range suspects {
		d, failed := t.w.Repository.CheckPack(ctx, s.Kind, s.Pack, t.a.touch)
		if failed != nil {
			return fmt.Errorf("look closer at a pack of which something could not be read: %w", failed)
		}
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
	return err
}
