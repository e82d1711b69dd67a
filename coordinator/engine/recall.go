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

// loss is what the queue does not know any more and this coordinator does.
type loss struct {
	why         string
	runs        []Run
	obligations int
	records     int // of runs that go on: they are missing, or older than they were
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
	if l.why == "" && len(l.runs) == 0 && l.obligations == 0 && l.records == 0 {
		return nil
	}
	if l.why == "" {
		l.why = "it does not know what was under way: the repository's leases and state_dir/under-way do"
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
		"why", l.why, "runs", ids, "obligations_put_back", l.obligations, "records_missing_or_older", l.records,
		"remedy", "start these runs again; what they have left is deleted within minutes, and `ivd snapshots` shows what is not")
	return nil
}

// tellUnrecalled says why it cannot be known what the queue has lost. A server that
// answers, and does not hand out what it stores, trusts what it has written beside its
// messages, and has met one that is damaged: it serves that stream no more. The embedded
// server is not started so.
func (e *Engine) tellUnrecalled(ctx context.Context, err error) {
	_, asked := e.Queue.State().Extent(ctx)
	switch {
	case ctx.Err() != nil:
	case asked == nil && ivd.KindOf(err) == ivd.Transient:
		e.Log.Error("the queue's server answers, and does not hand out the records of runs and the ledger: a message in its files may be damaged. No run begins or goes on; it is tried again",
			"err", err, "remedy", "if this is said again and again: stop that server, remove msgs/index.db of its stream KV_IVD_STATE below its store_dir, and start it again. "+
				"It drops the messages that it cannot read then; what was lost with them is said here, what must be undone is put back, and runs without a record end as failed. "+
				"In a cluster, remove the damaged replica instead")
	default:
		e.Log.Warn("looking for what the queue has lost failed; it is tried again", "err", err)
	}
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
	same := x.Made.Equal(t.Made)
	switch {
	case x.Last >= t.Last:
	case same:
		l.why = fmt.Sprintf("the last %d changes or more are missing", t.Last-x.Last)
	default:
		l.why = "the bucket of runs and the ledger is another one than before; where queue.url names another server now, nothing is lost there"
	}
	items := map[ivd.RunID][]witness.Entry{}
	for _, n := range t.Entries {
		if strings.HasPrefix(n.Key, itemPrefix) {
			run := runOf(n.Key, itemPrefix)
			items[run] = append(items[run], n)
		}
	}
	for _, n := range t.Entries {
		if !strings.HasPrefix(n.Key, itemPrefix) {
			if err := e.recallEntry(ctx, l, n, same, items); err != nil {
				return err
			}
		}
	}
	return nil
}

// recallEntry looks what became of a run or an obligation that was noted. Same: the
// bucket is the one of which it was noted, and revisions can be compared.
func (e *Engine) recallEntry(ctx context.Context, l *loss, n witness.Entry, same bool, items map[ivd.RunID][]witness.Entry) error {
	latest, err := e.Queue.State().Latest(ctx, n.Key)
	if err != nil {
		return err
	}
	fresh := latest > 0 && (latest >= n.Revision || !same)
	if strings.HasPrefix(n.Key, ledgerPrefix) {
		if fresh {
			return nil
		}
		return e.putBack(ctx, l, n, latest)
	}
	if latest == 0 {
		return e.loseNoted(ctx, l, n)
	}
	if !same {
		return nil
	}
	if !fresh {
		l.records++
	}
	run := runOf(n.Key, runPrefix)
	return e.recallItems(ctx, l, run, items[run])
}

// putBack stores an obligation as it was, unless somebody else has just stored it.
func (e *Engine) putBack(ctx context.Context, l *loss, n witness.Entry, latest uint64) (err error) {
	l.obligations++
	if latest == 0 {
		_, err = e.Queue.State().Create(ctx, n.Key, n.Value)
	} else {
		_, err = e.Queue.State().Update(ctx, n.Key, n.Value, latest)
	}
	if k := ivd.KindOf(err); k == ivd.Exists || k == ivd.Conflict {
		return nil
	}
	return err
}

// loseNoted counts a run as lost that the witness knows.
func (e *Engine) loseNoted(ctx context.Context, l *loss, n witness.Entry) error {
	var r Run
	if err := json.Unmarshal(n.Value, &r); err != nil || checkVersion(n.Key, r.Version) != nil {
		return nil // a newer program's
	}
	return e.lose(ctx, l, r)
}

// recallItems counts the records of a run's items that are missing or older. The run
// goes on from what there is: to repeat a step does no harm, and those that are missing
// make it partial.
func (e *Engine) recallItems(ctx context.Context, l *loss, run ivd.RunID, noted []witness.Entry) error {
	if len(noted) == 0 {
		return nil
	}
	stored, err := e.Queue.State().List(ctx, itemPrefix+string(run)+".")
	if err != nil {
		return err
	}
	revisions := make(map[string]uint64, len(stored))
	for _, x := range stored {
		revisions[x.Key] = x.Revision
	}
	for _, n := range noted {
		if revisions[n.Key] < n.Revision {
			l.records++
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
