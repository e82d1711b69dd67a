package serve_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/serve"
	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
)

// aRun begins a backup and cancels it, which leaves a record in the repository.
func aRun(t *testing.T, client *api.Client) ivd.RunID {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	run, err := client.Backup(ctx, api.BackupRequest{All: true})
	if err == nil {
		_, err = client.Cancel(ctx, run.ID)
	}
	for err == nil && run.State == api.Running {
		if err = pause.For(ctx, 50*time.Millisecond); err == nil {
			var d api.RunDetail
			d, err = client.RunDetail(ctx, run.ID)
			run.State = d.State
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return run.ID
}

// A store that was brought back to what it was yesterday gets no backup: the next run is
// refused with the remedy, whether the coordinator was restarted or not.
func TestBucketOfYesterday(t *testing.T) {
	w := newWorld(t)
	folder, copied := filepath.Join(w.dir, "repository"), t.TempDir()
	client, stop := w.start(t, serve.Options{})
	aRun(t, client)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.CopyFS(copied, os.DirFS(folder)))
	second := aRun(t, client)
	must(os.RemoveAll(filepath.Join(folder, "runs")))
	must(os.CopyFS(filepath.Join(folder, "runs"), os.DirFS(filepath.Join(copied, "runs"))))
	refused := func() {
		t.Helper()
		_, err := client.Backup(t.Context(), api.BackupRequest{All: true})
		if err == nil || !strings.Contains(err.Error(), string(second)) || !strings.Contains(ivd.RemedyOf(err), "ivd repo adopt") {
			t.Fatalf("%v; remedy %q", err, ivd.RemedyOf(err))
		}
		if r, err := client.Repository(t.Context()); err != nil || r.Failure == nil || !strings.Contains(r.Failure.Message, string(second)) {
			t.Errorf("it shows %+v, %v", r.Failure, err)
		}
	}
	refused()
	must(stop())
	client, _ = w.start(t, serve.Options{})
	refused()
}
