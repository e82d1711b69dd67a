package broker_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
	"ivdmover/shared/sealed"
)

// documented starts a server of its own with the configuration that the documents
// give, and returns how a coordinator and the mover proxy-1 reach it.
func documented(t *testing.T) (coordinator, mover queue.Options) {
	t.Helper()
	page, err := os.ReadFile("../../docs/security.md")
	must(t, err)
	_, text, _ := strings.Cut(string(page), "```nats\n")
	text, _, found := strings.Cut(text, "```")
	if !found {
		t.Fatal("the documents give no configuration")
	}
	dir := t.TempDir()
	cert, key := certificate(t)
	seeds := map[string]string{}
	for _, user := range []string{"COORDINATOR", "PROXY_1"} {
		pair, err := nkeys.CreateUser()
		must(t, err)
		seed, err := pair.Seed()
		must(t, err)
		public, err := pair.PublicKey()
		must(t, err)
		seeds[user] = filepath.Join(dir, user)
		must(t, os.WriteFile(seeds[user], append(seed, '\n'), 0o600))
		text = strings.Replace(text, "nkey: "+user, "nkey: "+public, 1)
	}
	for from, to := range map[string]string{
		"0.0.0.0:4222": "127.0.0.1:-1", "/etc/nats/cert.pem": cert, "/etc/nats/key.pem": key, "/var/lib/nats": dir,
	} {
		if !strings.Contains(text, from) {
			t.Fatalf("it has no %q", from)
		}
		text = strings.Replace(text, from, to, 1)
	}
	file := filepath.Join(dir, "nats.conf")
	must(t, os.WriteFile(file, []byte(text), 0o600))
	o, err := server.ProcessConfigFile(file)
	must(t, err)
	o.NoSigs, o.NoLog = true, true
	s, err := server.NewServer(o)
	must(t, err)
	go s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the server does not start")
	}
	at := queue.Options{URL: "tls://" + s.Addr().String(), CAFile: cert}
	coordinator, mover = at, at
	coordinator.CredsFile, mover.CredsFile, mover.Mover = seeds["COORDINATOR"], seeds["PROXY_1"], "proxy-1"
	rights := queue.MoverRights("proxy-1")
	for _, subject := range slices.Concat(rights.Publish, rights.Subscribe) {
		if !strings.Contains(text, `"`+subject+`"`) {
			t.Errorf("the documents do not give a mover %s", subject)
		}
	}
	if n := strings.Count(text, `"`)/2 - 1; n != len(rights.Publish)+len(rights.Subscribe) {
		t.Errorf("the documents give a mover %d subjects, it needs %d", n, len(rights.Publish)+len(rights.Subscribe))
	}
	return coordinator, mover
}

// What a backup says over the queue passes a server with the documented configuration,
// also where a second child of the mover says it, and the rest does not.
func TestDocumentedServer(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	coordinatorAt, moverAt := documented(t)
	coordinator := connect(t, coordinatorAt)
	moverAt.Patience = time.Second
	mover, err := queue.Connect(ctx, moverAt)
	must(t, err)
	t.Cleanup(mover.Close)
	key, err := sealed.NewKey()
	must(t, err)
	must(t, mover.Beat(ctx, job.Mover{Version: job.Version, Name: "proxy-1/doctor-1", Doctor: true, Process: "p", PublicKey: key.Public()}))

	_, err = coordinator.ServeLogins(ctx, func(context.Context, job.LoginRequest, job.Mover) (job.Login, error) {
		return job.Login{Server: "vc"}, nil
	})
	must(t, err)
	_, err = coordinator.ServeGrants(ctx, "repository-1", func(_ context.Context, q job.GrantRequest, _ job.Mover) ([]byte, error) {
		return []byte("for " + q.Mover), nil
	})
	must(t, err)
	_, err = coordinator.ServeWriters(ctx, "repository-1", func(context.Context, job.WriterRequest, job.Mover) error { return nil })
	must(t, err)
	_, err = coordinator.ServePackKeys(ctx, "repository-1", false, func(_ context.Context, q job.PackKeysRequest, _ job.Mover) ([]job.PackKey, error) {
		return make([]job.PackKey, len(q.Packs)), nil
	})
	must(t, err)
	_, err = coordinator.ServeExaminations(ctx, func(context.Context, job.ExamineRequest, job.Mover) (job.Examination, error) {
		return job.Examination{Name: "data"}, nil
	})
	must(t, err)
	told := make(chan job.Progress, 100)
	go func() { _ = coordinator.SubscribeProgress(ctx, "run", func(p job.Progress) { told <- p }) }()
	moverAt.Mover = "proxy-1/2"
	second, err := queue.Connect(ctx, moverAt)
	must(t, err)
	t.Cleanup(second.Close)
	for name, q := range map[string]*queue.Queue{"proxy-1": mover, "proxy-1/2": second} {
		works(ctx, t, coordinator, q, name, key, told)
	}
	movers, _, err := coordinator.Movers(ctx)
	if must(t, err); len(movers) != 2 {
		t.Errorf("%d movers are there", len(movers))
	}
	x, err := mover.BeginExamination(ctx, job.ExamineRequest{Version: job.Version, Doctor: "proxy-1/doctor-1", Process: "p"}, key)
	must(t, err)
	if x.Name != "data" {
		t.Errorf("examination %+v", x)
	}
	must(t, mover.Leave(ctx, "proxy-1/doctor-1"))

	if err := mover.Beat(ctx, job.Mover{Version: job.Version, Name: "proxy-2"}); err == nil {
		t.Error("a heartbeat in another's name passes")
	}
	if err := mover.Publish(ctx, testJob("j2")); err == nil {
		t.Error("a mover publishes a job")
	}
	if ivd.KindOf(func() error {
		q, err := queue.Connect(ctx, queue.Options{URL: moverAt.URL, CAFile: moverAt.CAFile})
		closeIf(q)
		return err
	}()) != ivd.Denied {
		t.Error("a stranger gets in")
	}
}

// works has a mover, or its second child, do all that a job needs.
func works(ctx context.Context, t *testing.T, coordinator, mover *queue.Queue, name string, key *sealed.Key, told <-chan job.Progress) {
	t.Helper()
	must(t, mover.Beat(ctx, job.Mover{Version: job.Version, Name: name, Process: "p", PublicKey: key.Public()}))
	_, err := mover.ServeRequests(ctx, name, func(context.Context, job.Request) job.Reply { return job.Reply{Transport: name} })
	must(t, err)
	reply, err := coordinator.Ask(ctx, name, job.Request{Version: job.Version, Op: job.Inspect})
	must(t, err)
	if reply.Transport != name {
		t.Errorf("the mover %s answered %+v", name, reply)
	}
	j := testJob("j1")
	j.Run = ivd.RunID("run-" + strings.ReplaceAll(name, "/", "-"))
	must(t, coordinator.CreateJobRecord(ctx, job.Record{Version: job.Version, ID: j.ID, Run: j.Run, Disk: j.Key(), State: job.Queued}))
	must(t, coordinator.Publish(ctx, j))
	got, err := mover.Jobs(job.Backup).Fetch(ctx, 1)
	must(t, err)
	rec, rev, err := mover.JobRecord(ctx, j.Run, j.Key(), j.ID)
	must(t, err)
	rec.State, rec.Mover, rec.Process = job.Running, name, "p"
	rev, err = mover.UpdateJobRecord(ctx, rec, rev)
	must(t, err)
	login, err := mover.AskLogin(ctx, job.LoginRequest{Version: job.Version, Mover: name, Process: "p", Run: j.Run, Disk: j.Disk.Ref, Job: j.ID}, key)
	must(t, err)
	if login.Server != "vc" {
		t.Errorf("login %+v", login)
	}
	grant, err := mover.AskGrant(ctx, job.GrantRequest{Version: job.Version, Mover: name, Process: "p", Repository: "repository-1"}, key)
	must(t, err)
	if string(grant) != "for "+name {
		t.Errorf("grant %q", grant)
	}
	claim := job.Claim{Mover: name, Process: "p", Run: j.Run, Disk: j.Disk.Ref, Job: j.ID}
	must(t, mover.AskWriter(ctx, job.WriterRequest{Version: job.Version, Repository: "repository-1", Claim: claim}))
	packs, err := mover.AskPackKeys(ctx, job.PackKeysRequest{Version: job.Version, Repository: "repository-1", Claim: claim, Packs: make([]ivd.PackRef, 2)}, key)
	must(t, err)
	if len(packs) != 2 {
		t.Errorf("%d keys", len(packs))
	}
	must(t, got[0].InProgress(ctx))
	for heard := false; !heard; { // from when the coordinator listens on
		must(t, mover.PublishProgress(job.Progress{Version: job.Version, Run: "run", Disk: j.Key(), Job: j.ID, Mover: name}))
		select {
		case p := <-told:
			heard = p.Mover == name
		case <-time.After(50 * time.Millisecond):
			must(t, ctx.Err())
		}
	}
	rec.State = job.Done
	_, err = mover.UpdateJobRecord(ctx, rec, rev)
	must(t, err)
	must(t, got[0].Ack(ctx))
}

func closeIf(q *queue.Queue) {
	if q != nil {
		q.Close()
	}
}
