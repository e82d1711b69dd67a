package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"ivdmover/coordinator/witness"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
)

// ledgerPrefix is where the ledger keeps its entries.
const ledgerPrefix = "ledger."

// note has the witness keep what is under way: the runs that this coordinator owns, and
// the ledger's entries of them and of what is no run.
func (e *Engine) note(ctx context.Context, runs []Run) error {
	if e.Witness == nil {
		return nil
	}
	x, err := e.Queue.State().Extent(ctx)
	if err != nil {
		return err
	}
	t := witness.Testimony{Made: x.Made, Last: x.Last}
	others := map[ivd.RunID]bool{}
	for _, r := range runs {
		if r.Owner != e.Instance {
			others[r.ID] = true
			continue
		}
		if r.State.Ended() {
			continue
		}
		r.Beat, r.Stats, r.Counts = 0, ivd.Stats{}, Counts{Items: r.Counts.Items}
		body, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("encode run %s: %w", r.ID, err)
		}
		t.Entries = append(t.Entries, witness.Entry{Key: runKey(r.ID), Value: body})
	}
	list, err := e.Queue.State().List(ctx, ledgerPrefix)
	if err != nil {
		return err
	}
	for _, o := range list {
		if !others[runOf(o.Key)] {
			t.Entries = append(t.Entries, witness.Entry{Key: o.Key, Value: o.Value})
		}
	}
	return e.Witness.Write(t)
}

// runOf is the run in a key of the ledger.
func runOf(key string) ivd.RunID {
	id, _, _ := strings.Cut(strings.TrimPrefix(key, ledgerPrefix), ".")
	return ivd.RunID(id)
}

// loss is what the queue does not know any more and this coordinator does.
type loss struct {
	why         string
	runs        []Run
	obligations int
}

// recall compares what the queue holds with what the witness, and the repository's
// leases, know of this coordinator's earlier start. Obligations that are missing are
// put back: to undo one again does no harm. Runs that are missing are stored as over,
// so that what they have left is swept up. All of that is said.
func (e *Engine) recall(ctx context.Context) error {
	var l loss
	if err := e.recallNoted(ctx, &l); err != nil {
		return err
	}
	if err := e.recallLeased(ctx, &l); err != nil {
		return err
	}
	if l.why == "" && len(l.runs) == 0 && l.obligations == 0 {
		return nil
	}
	ids := make([]ivd.RunID, len(l.runs))
	for i, r := range l.runs {
		ids[i] = r.ID
		if err := e.storeLost(ctx, r); err != nil {
			return err
		}
	}
	if err := e.Queue.State().DeletePrefix(ctx, "turn"); err != nil { // so that every disk is looked at
		return err
	}
	e.Log.Error("the queue has lost state: its files were damaged, removed, or put back from an older copy",
		"why", l.why, "runs", ids, "obligations_put_back", l.obligations,
		"remedy", "start these runs again; what they have left is deleted within minutes, and `ivd snapshots` shows what is not")
	return nil
}

// recallNoted goes by the witness.
func (e *Engine) recallNoted(ctx context.Context, l *loss) error {
	if e.Witness == nil {
		return nil
	}
	t, err := e.Witness.Read()
	if ivd.KindOf(err) == ivd.Corrupt {
		e.Log.Warn("what was noted of the queue cannot be read: what the queue may have lost is not noticed", "err", err)
		return nil
	}
	if err != nil || t.Made.IsZero() {
		return err
	}
	x, err := e.Queue.State().Extent(ctx)
	if err != nil {
		return err
	}
	switch {
	case x.Last >= t.Last:
	case x.Made.Equal(t.Made):
		l.why = fmt.Sprintf("the last %d changes or more are missing", t.Last-x.Last)
	default:
		l.why = "the bucket of runs and the ledger is another one than before; where queue.url names another server now, nothing is lost there"
	}
	for _, n := range t.Entries {
		gone, err := e.Queue.State().Traceless(ctx, n.Key)
		if err != nil {
			return err
		}
		if !gone {
			continue
		}
		if strings.HasPrefix(n.Key, ledgerPrefix) {
			if _, err := e.Queue.State().Create(ctx, n.Key, n.Value); err != nil && ivd.KindOf(err) != ivd.Exists {
				return err
			}
			l.obligations++
			continue
		}
		var r Run
		if err := json.Unmarshal(n.Value, &r); err != nil || checkVersion(n.Key, r.Version) != nil {
			continue // a newer program's
		}
		if err := e.lose(ctx, l, r); err != nil {
			return err
		}
	}
	return nil
}

// lose counts a run as lost, unless another coordinator has brought it to its end and
// forgotten it since.
func (e *Engine) lose(ctx context.Context, l *loss, r Run) error {
	w, ok := e.Workflows[r.Kind].(Rememberer)
	if !ok || r.Repository != "" && r.Repository != e.Leases.ID() {
		return nil
	}
	over, err := w.Concluded(ctx, r.ID)
	if err == nil && !over {
		l.runs = append(l.runs, r)
	}
	return err
}

// recallLeased goes by the leases that this coordinator has opened. It knows no more of
// such a run than its name.
func (e *Engine) recallLeased(ctx context.Context, l *loss) error {
	for lease, err := range e.Leases.Leases(ctx) {
		if err != nil {
			e.Log.Warn("listing the leases failed: runs of which the queue has lost all are not noticed", "err", err)
			return nil
		}
		over := lease.Unknown != nil || lease.Deadline.Before(e.Leases.Now())
		if over || lease.Owner != e.Instance || lease.Run == "" || slices.ContainsFunc(l.runs, func(r Run) bool { return r.ID == lease.Run }) {
			continue
		}
		if _, _, err := e.getRun(ctx, lease.Run); ivd.KindOf(err) != ivd.NotFound {
			if err != nil {
				return err
			}
			continue
		}
		r := Run{Version: Version, ID: lease.Run, Created: e.began(lease.Run), LeaseKind: lease.Kind, Lease: lease.ID, Deadline: lease.Deadline, Body: json.RawMessage("{}")}
		for k, w := range e.Workflows {
			if m, ok := w.(Rememberer); ok && m.LeaseKind() == lease.Kind {
				r.Kind = k
			}
		}
		if err := e.lose(ctx, l, r); err != nil {
			return err
		}
	}
	return nil
}

// storeLost stores a run as over of which the record is gone, with the items that are
// left of it, and its summary.
func (e *Engine) storeLost(ctx context.Context, r Run) error {
	items, unread, err := e.readItems(ctx, r.ID)
	if err != nil {
		return err
	}
	d := e.newDriver(r, 0, repo.Lease{ID: r.Lease, Deadline: r.Deadline})
	for _, it := range items {
		d.publish(it.Item)
	}
	for _, x := range unread {
		d.publish(x.ended(r.ID))
	}
	d.run.Repository, d.run.Owner, d.run.OwnerRun = e.Leases.ID(), e.Instance, e.start
	d.run.Failure = ivd.FailureOf(errRecordsLost)
	return d.abandon(ctx)
}

// itemsLost is what a run has left out of which fewer items are stored than there were.
func itemsLost(was, are int) *ivd.Failure {
	return ivd.FailureOf(&ivd.Error{
		Kind: ivd.Permanent, Err: fmt.Errorf("the queue has lost the records of %d of its %d items", was-are, was), Remedy: errRecordsLost.Remedy,
	})
}
