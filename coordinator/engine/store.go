package engine

import (
	"context"
	"fmt"
	"strings"

	"ivdmover/shared/ivd"
	"ivdmover/shared/queue"
)

// Keys of the state bucket: run.<run>, item.<run>.<item>, plan.<run>.<item>.<name>.<n>; the
// ledger's are ledger.<run>.<item>.<kind>.
const (
	runPrefix    = "run."
	itemPrefix   = "item."
	ledgerPrefix = "ledger."
)

func runKey(id ivd.RunID) string { return runPrefix + string(id) }

func itemKey(run ivd.RunID, key ItemKey) string { return itemPrefix + string(run) + "." + string(key) }

func (e *Engine) getRun(ctx context.Context, id ivd.RunID) (Run, uint64, error) {
	r, rev, err := queue.Get[Run](ctx, e.Queue.State(), runKey(id))
	switch {
	case ivd.KindOf(err) == ivd.NotFound:
		return r, 0, &ivd.Error{Kind: ivd.NotFound, Err: fmt.Errorf("no run %s", id), Remedy: "`ivd runs` lists them"}
	case err != nil:
		return r, 0, fmt.Errorf("read run %s: %w", id, err)
	}
	return r, rev, checkVersion("run "+string(id), r.Version)
}

// listRuns reads every run, in no order. One that cannot be read, such as a newer
// program's, is left out, so that it hides none of the others.
func (e *Engine) listRuns(ctx context.Context) (map[ivd.RunID]Run, error) {
	runs, unread, err := e.readRuns(ctx)
	for id, why := range unread {
		e.leftOut(id, why)
	}
	return runs, err
}

// readRuns reads every run, in no order, and says of those that cannot be read why.
func (e *Engine) readRuns(ctx context.Context) (runs map[ivd.RunID]Run, unread map[ivd.RunID]error, err error) {
	entries, err := e.Queue.State().List(ctx, "run.")
	if err != nil {
		return nil, nil, fmt.Errorf("list runs: %w", err)
	}
	runs, unread = make(map[ivd.RunID]Run, len(entries)), map[ivd.RunID]error{}
	for _, x := range entries {
		if r, err := readRun(x); err == nil {
			runs[r.ID] = r
		} else {
			unread[runOfKey(x.Key)] = err
		}
	}
	return runs, unread, nil
}

// standingRuns mirrors what listRuns reads.
func (e *Engine) standingRuns() *queue.Mirror[Run] {
	return queue.NewMirror(e.Queue.State(), "run.", e.decodeRun)
}

func (e *Engine) decodeRun(x queue.Entry) (r Run, ok bool) {
	r, err := readRun(x)
	if err != nil {
		e.leftOut(runOfKey(x.Key), err)
	}
	return r, err == nil
}

func (e *Engine) leftOut(id ivd.RunID, err error) {
	e.Log.Warn("a run is left out", "run", id, "err", err)
}

// runOfKey is the run whose record has a key.
func runOfKey(key string) ivd.RunID { return ivd.RunID(strings.TrimPrefix(key, "run.")) }

func readRun(x queue.Entry) (r Run, err error) {
	err = x.Decode(&r)
	if err == nil {
		err = checkVersion(x.Key, r.Version)
	}
	if err == nil && x.Key != runKey(r.ID) {
		err = ivd.Errorf(ivd.Corrupt, "%s: it says that it is run %s", x.Key, r.ID)
	}
	return r, err
}

// RunOver reports whether a run has ended. Kind NotFound: it is not known here.
func (e *Engine) RunOver(ctx context.Context, id ivd.RunID) (bool, error) {
	r, _, err := e.getRun(ctx, id)
	return err == nil && r.State.Ended(), err
}

// ItemOver reports whether an item is known to have ended, its run or not.
func (e *Engine) ItemOver(ctx context.Context, run ivd.RunID, key ItemKey) bool {
	it, err := e.getItem(ctx, run, key)
	return err == nil && it.Step == Ended
}

// itemOver reports whether what the ledger has of an item is left to whoever looks.
// Nobody is asked about an item that is driven here.
func (e *Engine) itemOver(ctx context.Context, run ivd.RunID, item string) (bool, error) {
	if d := e.find(run); d != nil {
		if it, ok := d.shown(ItemKey(item)); ok {
			return it.Step == Ended, nil
		}
	}
	over, err := e.RunOver(ctx, run)
	if ivd.KindOf(err) == ivd.NotFound {
		return true, nil
	}
	return over || err == nil && e.ItemOver(ctx, run, ItemKey(item)), err
}

func checkVersion(what string, v int) error {
	if v > Version {
		return &ivd.Error{Kind: ivd.Unsupported, Err: fmt.Errorf("%s has version %d, this program knows %d", what, v, Version), Remedy: "use the newer ivd that wrote it"}
	}
	return nil
}
