package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"ivdmover/shared/ivd"
	"ivdmover/shared/queue"
)

// keptPiece is how much of what is kept beside an item's body is in one value of the
// bucket, which stores it as base64.
const keptPiece = queue.MaxValue / 4 * 3 / 2

// kept is one piece, under plan.<run>.<item>.<name>.<number>.
type kept struct {
	Version int    `json:"version"`
	Pieces  int    `json:"pieces"`
	Text    []byte `json:"text"`
}

func keptPrefix(run ivd.RunID, key ItemKey) string { return "plan." + string(run) + "." + string(key) }

// Keep stores what an item needs to be planned again and what its body has no room for,
// in the place of what was kept before. A coordinator that has lost the run unawares
// keeps under a name that nobody reads. It goes when the item ends.
func (t *Task) Keep(ctx context.Context, text []byte) error {
	name := uuid.NewString()
	pieces := slices.Collect(slices.Chunk(text, keptPiece))
	if len(pieces) == 0 {
		pieces = [][]byte{{}}
	}
	for i, p := range pieces {
		key := keptPrefix(t.item.Run, t.item.Key) + "." + name + "." + strconv.Itoa(i)
		if _, err := t.g.d.e.Queue.State().Create(ctx, key, kept{Version: Version, Pieces: len(pieces), Text: p}); err != nil {
			return fmt.Errorf("keep the plan of item %s of run %s: %w", t.item.Key, t.item.Run, err)
		}
	}
	return t.save(ctx, func(it *Item) { it.Plan = name })
}

// Kept is what Keep stored last; nil where it has stored nothing.
func (t *Task) Kept(ctx context.Context) ([]byte, error) {
	if t.item.Plan == "" {
		return nil, nil
	}
	text := bytes.NewBuffer([]byte{})
	for i, pieces := 0, 1; i < pieces; i++ {
		key := keptPrefix(t.item.Run, t.item.Key) + "." + t.item.Plan + "." + strconv.Itoa(i)
		k, _, err := queue.Get[kept](ctx, t.g.d.e.Queue.State(), key)
		if err == nil {
			err = checkVersion(key, k.Version)
		}
		if err != nil {
			return nil, fmt.Errorf("read the plan of item %s of run %s: %w", t.item.Key, t.item.Run, err)
		}
		pieces = k.Pieces
		text.Write(k.Text)
	}
	return text.Bytes(), nil
}

// drop deletes what is in the bucket for the item's work, when that is over.
func (t *Task) drop(ctx context.Context) error {
	var err error
	if t.item.Plan != "" || t.item.Body == nil { // or it is not known whether there is one
		err = t.g.d.e.Queue.State().DeletePrefix(ctx, keptPrefix(t.item.Run, t.item.Key))
	}
	if len(t.item.Jobs) > 0 {
		err = errors.Join(err, t.g.d.e.Queue.DeleteJobRecords(ctx, t.item.Run, t.item.Disk))
	}
	return err
}
