// Package api is the coordinator's face over HTTP: JSON under /api/v1, a server
// that translates requests into calls of the rooms behind it, and the client that
// the command line uses. Its types are its own, so that what a program relies on
// does not change with what is stored.
//
// Field names are snake_case, sizes are bytes, times are RFC 3339 in UTC, a list
// is a JSON array, and a long one comes in pages (a Link header names the next).
// A failure is {"error": ivd.Failure} under a status code that follows from its
// kind. The events of a run (text/event-stream) say what has changed, not the
// whole again.
//
// It decides nothing, never listens off loopback without TLS, and never shows a
// secret.
package api

import (
	"context"
	"iter"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// Version is the version of the paths and bodies of this package: "/api/v1".
const Version = 1

// root is where all paths begin.
const root = "/api/v1"

// DefaultListen is where the server listens unless the configuration says else.
const DefaultListen = "127.0.0.1:8440"

// DefaultServer is where the client looks for it.
const DefaultServer = "http://" + DefaultListen

// Runs starts, shows and ends runs. Runs come the newest first, the disks of one
// in the order of their keys. Cancel asks for a run's end and does not wait for
// it. Watch yields the run with all of its disks, then what changes, and ends after
// the change by which the run has ended; it ends with ctx, too.
type Runs interface {
	StartBackup(ctx context.Context, r BackupRequest) (Run, error)
	StartRestore(ctx context.Context, r RestoreRequest) (Run, error)
	StartVerify(ctx context.Context, r VerifyRequest) (Run, error)
	Cancel(ctx context.Context, id ivd.RunID) error
	Run(ctx context.Context, id ivd.RunID) (Run, error)
	Runs(ctx context.Context) ([]Run, error)
	RunDisks(ctx context.Context, id ivd.RunID) ([]RunDisk, error)
	Watch(ctx context.Context, id ivd.RunID) iter.Seq2[Change, error]
}

// Estate tells of the vCenters' disks and of our snapshots there, and what they and
// their datastores are called: nothing where that is not known soon.
type Estate interface {
	Disks(ctx context.Context, q DiskQuery) ([]Disk, error)
	Snapshots(ctx context.Context) ([]Snapshot, error)
	DeleteSnapshot(ctx context.Context, id ivd.SnapshotID, vcenter string) error
	Names(ctx context.Context, source ivd.SourceID, id ivd.DatastoreID) (vcenter, datastore string)
}

// Archive tells of the repository and its restore points. Points of all disks
// are asked for with an empty disk; they come in the order of their ids, which
// is by disk and then by time. Resolve finds the point that a text means: a long or
// a short id, NAME@latest, NAME@<RFC 3339>.
type Archive interface {
	Points(ctx context.Context, q PointQuery) ([]Point, error)
	Point(ctx context.Context, id ivd.PointID) (PointDetail, error)
	Resolve(ctx context.Context, text string) (ivd.PointID, error)
	Repository(ctx context.Context) (Repository, error)
}

// Movers tells which movers live, and of those that it cannot tell of why, by name; and
// why none takes jobs, nil while one does.
type Movers interface {
	Movers(ctx context.Context) ([]job.Mover, error)
	Unread(ctx context.Context) (map[string]error, error)
	Shortage(ctx context.Context, k job.Kind) (why, err error)
}

// Rooms is what the server answers from. All are needed.
type Rooms struct {
	Runs      Runs
	Estate    Estate
	Archive   Archive
	Retention Retention
	Movers    Movers
}
