package serve_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/broker"
	"ivdmover/coordinator/serve"
	"ivdmover/coordinator/timer"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
	"ivdmover/shared/queue"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
)

// missed leaves in the queue that the work of a timer was due while the coordinator was
// stopped.
func (w *world) missed(t *testing.T, name string) {
	t.Helper()
	dir := filepath.Join(w.dir, "state", "queue")
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	server, err := broker.Start(t.Context(), broker.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	q, err := queue.Connect(t.Context(), queue.Options{InProcess: server, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	before := time.Now().Add(-3 * 24 * time.Hour)
	if err = q.Setup(t.Context()); err == nil {
		_, err = q.State().Put(t.Context(), "timer."+name, timer.Record{Version: 1, Due: before, Ended: before})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// givenUp is a repository in the place of the world's, with two points, of which the first
// was given up.
func (w *world) givenUp(t *testing.T, r *repotest.Repository) repotest.Point {
	t.Helper()
	w.text = strings.Replace(w.text, "dir://"+w.dir+"/repository", "dir://"+r.Dir, 1) + "collect: { min_age: 0s, max_share: 100% }\n"
	d := repotest.NewDisk(ivd.Geometry{Capacity: 4 * ivd.MinChunkSize, ChunkSize: ivd.MinChunkSize})
	first := r.Save(d, repotest.Layout{})
	r.Save(d, repotest.Layout{})
	if err := r.Forget(t.Context(), format.Forgotten{Point: first.ID, Reason: "a test"}); err != nil {
		t.Fatal(err)
	}
	return first
}

// A coordinator collects by its schedule, daily unless it says else, and what it has missed
// at its start. What one collection condemns the next one deletes, at the latest.
func TestCollectsBySchedule(t *testing.T) {
	w := newWorld(t)
	r := repotest.New(t)
	first := w.givenUp(t, r)
	var log bytes.Buffer
	for range 2 {
		w.missed(t, "collection")
		client, stop := w.start(t, serve.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		shown := awaitCollection(t, client, func(s *api.Scheduled) bool { return s.Ended != nil })
		next := shown.Next.In(time.UTC).Truncate(time.Hour).Hour()
		if shown.Failure != nil || shown.Hindrance != nil || shown.Schedule != "30 5 * * *" || shown.Timezone != "UTC" || next != 5 || !shown.Next.After(time.Now()) {
			t.Errorf("it shows %+v", shown)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
	if _, _, err := r.ReadPoint(t.Context(), first.ID); ivd.KindOf(err) != ivd.NotFound {
		t.Errorf("the point that was given up: %v", err)
	}
	if said := log.String(); strings.Count(said, "msg=collected ") != 2 || strings.Count(said, "condemned_points=1") != 1 || strings.Count(said, "deleted_points=1") != 1 {
		t.Errorf("it logged %s", said)
	}
}

// awaitCollection waits until the coordinator shows something of its collections.
func awaitCollection(t *testing.T, client *api.Client, done func(*api.Scheduled) bool) *api.Scheduled {
	t.Helper()
	for {
		i, err := client.Repository(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if i.Collection != nil && done(i.Collection) {
			return i.Collection
		}
		if err := pause.For(t.Context(), 20*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
}

// A coordinator that has the keys for backups only collects nothing, and says so once. One
// without a schedule says nothing of it.
func TestCollectsNothingWithoutTheKeys(t *testing.T) {
	w := newWorld(t)
	r := repotest.Sealed(t)
	first := w.givenUp(t, r)
	w.missed(t, "collection")
	keys, err := repo.OpenKeychain(t.Context(), r.Store, repo.Keys{Passphrase: repotest.Passphrase})
	if err != nil {
		t.Fatal(err)
	}
	e, err := keys.Export(t.Context(), "coordinator-2")
	if err != nil {
		t.Fatal(err)
	}
	file, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, "export", string(file))
	w.text = strings.Replace(w.text, `"dir://`+r.Dir+`"`, `"dir://`+r.Dir+`", backup_key_file: `+filepath.Join(w.dir, "export"), 1)
	var log bytes.Buffer
	client, stop := w.start(t, serve.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	shown := awaitCollection(t, client, func(s *api.Scheduled) bool { return s.Hindrance != nil })
	if shown.Began != nil || !strings.Contains(shown.Hindrance.Message, "no key with role collect") {
		t.Errorf("it shows %+v", shown)
	}
	if err := stop(); err != nil || strings.Count(log.String(), "leaves what has a schedule to others") != 1 {
		t.Errorf("%v, it logged %s", err, &log)
	}
	if _, _, err := r.ReadPoint(t.Context(), first.ID); err != nil {
		t.Errorf("the point that was given up: %v", err)
	}
	w.text = strings.Replace(w.text, "collect: { ", `collect: { schedule: "", `, 1)
	client, _ = w.start(t, serve.Options{})
	if i, err := client.Repository(t.Context()); err != nil || i.Collection != nil {
		t.Errorf("without a schedule: %+v, %v", i.Collection, err)
	}
}

// A coordinator with a schedule for it verifies packs, those that it has missed, too.
func TestVerifiesBySchedule(t *testing.T) {
	w := newWorld(t)
	w.givenUp(t, repotest.New(t))
	client, stop := w.start(t, serve.Options{})
	if i, err := client.Repository(t.Context()); err != nil || i.Verification != nil {
		t.Errorf("without a schedule: %+v, %v", i.Verification, err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	w.missed(t, "verification")
	w.text = strings.Replace(w.text, "repository: {", `repository: { verify: { schedule: "0 12 * * *", timezone: Europe/Berlin },`, 1)
	client, _ = w.start(t, serve.Options{})
	for {
		runs, err := client.Runs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(runs) > 0 { // it waits for a mover
			if runs[0].Kind != "verify" || runs[0].State != "running" {
				t.Errorf("%+v", runs)
			}
			break
		}
		if err := pause.For(t.Context(), 20*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	i, err := client.Repository(t.Context())
	if err != nil || i.Verification == nil || i.Verification.Began == nil || i.Verification.Ended != nil || i.Verification.Timezone != "Europe/Berlin" {
		t.Errorf("it shows %+v, %v", i.Verification, err)
	}
}

// A schedule that is none is refused before anything is opened, with the line of the file.
func TestRefusesAScheduleThatIsNone(t *testing.T) {
	w := newWorld(t)
	for text, want := range map[string]string{
		`schedule: "30 5 * *"`: "it has 4 fields", `schedule: "0 0 31 2 *"`: "never fires", "timezone: Europe/Berlim": "collect.timezone", "timezone: Local": "collect.timezone",
	} {
		err := serve.Check(w.config(t, "collect: { "+text+" }\n"), serve.Options{})
		if ivd.KindOf(err) != ivd.Invalid || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "ivd.yaml:7: collect.") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
