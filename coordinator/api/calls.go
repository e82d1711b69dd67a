package api

import (
	"context"
	"net/http"
	"net/url"

	"ivdmover/coordinator/run"
	"ivdmover/shared/ivd"
)

// Version asks which build answers.
func (c *Client) Version(ctx context.Context) (Build, error) {
	return call[Build](ctx, c, http.MethodGet, "/v1/version", nil, nil)
}

// Disks lists the estate's disks.
func (c *Client) Disks(ctx context.Context, q DiskQuery) ([]Disk, error) {
	query := url.Values{}
	if q.Datastore != "" {
		query.Set("datastore", q.Datastore)
	}
	if q.Unprotected {
		query.Set("unprotected", "true")
	}
	return call[[]Disk](ctx, c, http.MethodGet, "/v1/disks", query, nil)
}

// Snapshots lists the snapshots in vSphere that runs of ours made.
func (c *Client) Snapshots(ctx context.Context) ([]Snapshot, error) {
	return call[[]Snapshot](ctx, c, http.MethodGet, "/v1/snapshots", nil, nil)
}

// Backup starts a backup.
func (c *Client) Backup(ctx context.Context, r run.BackupRequest) (run.View, error) {
	return call[run.View](ctx, c, http.MethodPost, "/v1/backups", nil, r)
}

// Restore starts a restore.
func (c *Client) Restore(ctx context.Context, r run.RestoreRequest) (run.View, error) {
	return call[run.View](ctx, c, http.MethodPost, "/v1/restores", nil, r)
}

// Runs lists the runs that the coordinator knows.
func (c *Client) Runs(ctx context.Context) ([]run.View, error) {
	return call[[]run.View](ctx, c, http.MethodGet, "/v1/runs", nil, nil)
}

// Run shows one run.
func (c *Client) Run(ctx context.Context, id ivd.RunID) (run.View, error) {
	return call[run.View](ctx, c, http.MethodGet, "/v1/runs/"+url.PathEscape(string(id)), nil, nil)
}

// Cancel asks for a run's end and shows the run as it is then; it goes on until
// its disks are cleaned up.
func (c *Client) Cancel(ctx context.Context, id ivd.RunID) (run.View, error) {
	return call[run.View](ctx, c, http.MethodPost, "/v1/runs/"+url.PathEscape(string(id))+"/cancel", nil, nil)
}

// Points lists restore points; of all disks where disk is empty.
func (c *Client) Points(ctx context.Context, disk ivd.DiskID) ([]Point, error) {
	query := url.Values{}
	if disk != "" {
		query.Set("disk", string(disk))
	}
	return call[[]Point](ctx, c, http.MethodGet, "/v1/points", query, nil)
}

// Point shows one restore point.
func (c *Client) Point(ctx context.Context, id ivd.PointID) (Point, error) {
	return call[Point](ctx, c, http.MethodGet, "/v1/points/"+string(id), nil, nil)
}

// Movers lists the movers that live.
func (c *Client) Movers(ctx context.Context) ([]Mover, error) {
	return call[[]Mover](ctx, c, http.MethodGet, "/v1/movers", nil, nil)
}

// Repository says what the server's repository is.
func (c *Client) Repository(ctx context.Context) (Repository, error) {
	return call[Repository](ctx, c, http.MethodGet, "/v1/repo", nil, nil)
}
