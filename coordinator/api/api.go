// Package api is the coordinator's face over HTTP: JSON under /v1, a server that
// translates requests into calls of the rooms behind it, and the client that the
// command line uses.
//
// Field names are snake_case, sizes are bytes, times are RFC 3339 in UTC, a list
// is a JSON array. A failure is {"error": ivd.Failure} under a status code that
// follows from its kind. The events of a run are one run.View a line, ended by
// the view in which the run has ended; an empty line only says that the server
// still lives.
//
// It decides nothing: what a run does is package run's. It never listens off
// loopback without TLS, and it never shows a secret.
package api

import (
	"context"
	"iter"

	"ivdmover/coordinator/run"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// Version is the version of the paths and bodies of this package: "/v1".
const Version = 1

// DefaultListen is where the server listens unless the configuration says else.
const DefaultListen = "127.0.0.1:8440"

// DefaultServer is where the client looks for it.
const DefaultServer = "http://" + DefaultListen

// Runs starts, shows and ends runs. Cancel asks for a run's end and does not
// wait for it. Watch yields the run as it is, then at every change, and ends
// after the view in which the run has ended; it ends with ctx, too.
type Runs interface {
	StartBackup(ctx context.Context, r run.BackupRequest) (run.View, error)
	StartRestore(ctx context.Context, r run.RestoreRequest) (run.View, error)
	Cancel(ctx context.Context, id ivd.RunID) error
	Run(ctx context.Context, id ivd.RunID) (run.View, error)
	Runs(ctx context.Context) ([]run.View, error)
	Watch(ctx context.Context, id ivd.RunID) iter.Seq2[run.View, error]
}

// Estate tells of the vCenters' disks and of our snapshots there, and what they and
// their datastores are called: nothing where that is not known soon.
type Estate interface {
	Disks(ctx context.Context, q DiskQuery) ([]Disk, error)
	Snapshots(ctx context.Context) ([]Snapshot, error)
	Names(ctx context.Context, source ivd.SourceID, id ivd.DatastoreID) (vcenter, datastore string)
}

// Archive tells of the repository and its restore points. Points of all disks
// are asked for with an empty disk; they come in the order of their ids, which
// is by disk and then by time.
type Archive interface {
	Points(ctx context.Context, disk ivd.DiskID) ([]Point, error)
	Point(ctx context.Context, id ivd.PointID) (Point, error)
	Repository(ctx context.Context) (Repository, error)
}

// Movers tells which movers live.
type Movers interface {
	Movers(ctx context.Context) ([]job.Mover, error)
}

// Rooms is what the server answers from. All are needed.
type Rooms struct {
	Runs    Runs
	Estate  Estate
	Archive Archive
	Movers  Movers
}
