package api

import (
	"context"
	"net/http"
	"net/url"

	"ivdmover/shared/ivd"
)

// Disks lists the estate's disks.
func (c *Client) Disks(ctx context.Context, q DiskQuery) ([]Disk, error) {
	query := url.Values{}
	if q.Datastore != "" {
		query.Set("datastore", q.Datastore)
	}
	if q.Unprotected {
		query.Set("unprotected", "true")
	}
	return call[[]Disk](ctx, c, http.MethodGet, root+"/disks", query, nil)
}

// Snapshots lists the snapshots in vSphere that this program has made.
func (c *Client) Snapshots(ctx context.Context) ([]Snapshot, error) {
	return call[[]Snapshot](ctx, c, http.MethodGet, root+"/snapshots", nil, nil)
}

// DeleteSnapshot deletes one that this program has made, and waits for it.
func (c *Client) DeleteSnapshot(ctx context.Context, id ivd.SnapshotID, vcenter string) error {
	query := url.Values{}
	if vcenter != "" {
		query.Set("vcenter", vcenter)
	}
	_, err := call[struct{}](ctx, c, http.MethodPost, root+"/snapshots/"+url.PathEscape(string(id))+"/delete", query, nil)
	return err
}

// Backup starts a backup.
func (c *Client) Backup(ctx context.Context, r BackupRequest) (Run, error) {
	return call[Run](ctx, c, http.MethodPost, root+"/backups", nil, r)
}

// Restore starts a restore.
func (c *Client) Restore(ctx context.Context, r RestoreRequest) (Run, error) {
	return call[Run](ctx, c, http.MethodPost, root+"/restores", nil, r)
}

// Verify starts a verification.
func (c *Client) Verify(ctx context.Context, r VerifyRequest) (Run, error) {
	return call[Run](ctx, c, http.MethodPost, root+"/verifications", nil, r)
}

// Runs lists the runs that the coordinator knows, the newest first.
func (c *Client) Runs(ctx context.Context) ([]Run, error) {
	return callAll[Run](ctx, c, root+"/runs")
}

// Run shows one run.
func (c *Client) Run(ctx context.Context, id ivd.RunID) (Run, error) {
	return call[Run](ctx, c, http.MethodGet, root+"/runs/"+url.PathEscape(string(id)), nil, nil)
}

// RunDisks lists the disks of a run.
func (c *Client) RunDisks(ctx context.Context, id ivd.RunID) ([]RunDisk, error) {
	return callAll[RunDisk](ctx, c, root+"/runs/"+url.PathEscape(string(id))+"/disks")
}

// RunDetail shows one run with its disks.
func (c *Client) RunDetail(ctx context.Context, id ivd.RunID) (RunDetail, error) {
	run, err := c.Run(ctx, id)
	if err != nil {
		return RunDetail{}, err
	}
	disks, err := c.RunDisks(ctx, id)
	return RunDetail{Run: run, Disks: disks}, err
}

// Cancel asks for a run's end and shows the run as it is then; it goes on until
// its disks are cleaned up.
func (c *Client) Cancel(ctx context.Context, id ivd.RunID) (Run, error) {
	return call[Run](ctx, c, http.MethodPost, root+"/runs/"+url.PathEscape(string(id))+"/cancel", nil, nil)
}

// Points lists restore points.
func (c *Client) Points(ctx context.Context, q PointQuery) ([]Point, error) {
	query := url.Values{}
	if q.Disk != "" {
		query.Set("disk", q.Disk)
	}
	if q.Check {
		query.Set("check", "true")
	}
	if q.All {
		query.Set("all", "true")
	}
	return call[[]Point](ctx, c, http.MethodGet, root+"/points", query, nil)
}

// Point shows one restore point, by what people call it.
func (c *Client) Point(ctx context.Context, name ivd.PointID) (PointDetail, error) {
	return call[PointDetail](ctx, c, http.MethodGet, root+"/points/"+url.PathEscape(string(name)), nil, nil)
}

// Movers lists the movers that live.
func (c *Client) Movers(ctx context.Context) ([]Mover, error) {
	return call[[]Mover](ctx, c, http.MethodGet, root+"/movers", nil, nil)
}

// Shortage says why no mover takes jobs, if none does.
func (c *Client) Shortage(ctx context.Context) (Shortage, error) {
	return call[Shortage](ctx, c, http.MethodGet, root+"/movers/shortage", nil, nil)
}

// Health asks whether the server is ready: an error says for what it waits.
func (c *Client) Health(ctx context.Context) (Health, error) {
	return call[Health](ctx, c, http.MethodGet, root+"/health", nil, nil)
}

// Repository says what the server's repository is.
func (c *Client) Repository(ctx context.Context) (Repository, error) {
	return call[Repository](ctx, c, http.MethodGet, root+"/repo", nil, nil)
}
