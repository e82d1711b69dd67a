// Package run drives runs: it admits disks, has them prepared and snapshotted,
// plans and publishes their jobs, follows the movers' checkpoints, commits the
// restore points and cleans up.
//
// What it promises: a restore point is committed only when all of it is stored;
// no snapshot of ours outlives its disk's run, whatever dies, since a ledger entry
// is stored before a snapshot is asked for; EndAccess follows every prepare. All
// its state is in the queue's bucket and in the repository: a coordinator that
// starts again, or another one, goes on where the last one was.
package run
