package verify

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"slices"
	"testing"
	"time"

	"ivdmover/coordinator/engine"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo/repotest"
)

// stage is an engine whose runs are over at once, and leave their records.
type stage struct {
	r       *repotest.Repository
	state   engine.State // that they end in
	began   []engine.Spec
	others  []engine.Run // that were begun before
	watched []ivd.RunID
}

func (s *stage) Begin(ctx context.Context, spec engine.Spec) (engine.View, error) {
	s.began = append(s.began, spec)
	began := s.r.Now().UTC().Truncate(time.Second).Add(time.Duration(len(s.began)) * time.Millisecond)
	run := format.Run{ID: ivd.NewRunID(began), Kind: string(Kind), State: "done", Started: began, Ended: began, Coordinator: string(ivd.NewRunID(began)), Sequence: 1}
	for _, it := range spec.Items {
		if how := it.Body.(Check).How; how.Folder != nil {
			run.Verified = append(run.Verified, format.RunVerified{Folder: folderName(how.Folder), Depth: string(how.Depth)})
		}
	}
	return engine.View{Run: engine.Run{ID: run.ID, State: s.state}}, s.r.PutRun(ctx, run)
}

func (s *stage) Runs(context.Context) ([]engine.Run, map[ivd.RunID]error, error) {
	return s.others, nil, nil
}

func (s *stage) Run(_ context.Context, id ivd.RunID) (engine.Run, error) {
	return engine.Run{ID: id, State: s.state}, nil
}

func (s *stage) Watch(_ context.Context, id ivd.RunID) iter.Seq2[engine.Change, error] {
	return func(yield func(engine.Change, error) bool) {
		s.watched = append(s.watched, id)
		yield(engine.Change{}, nil)
	}
}

// A turn waits for the verifications that are under way, proves what is new, and reads its
// share; taken again within hours it reads no other one. What its runs found is told.
func TestTurn(t *testing.T) {
	t.Parallel()
	r := repotest.Sealed(t)
	r.Save(repotest.NewDisk(ivd.Geometry{Capacity: 4 * ivd.MinChunkSize, ChunkSize: ivd.MinChunkSize}), repotest.Layout{})
	w := New(Deps{Repo: r.Repository, Fleet: crew{"proxy-1"}, NewPacks: 3 * 24 * time.Hour, Every: 30 * 24 * time.Hour, Log: slog.New(slog.DiscardHandler)})
	s := &stage{r: r, state: engine.Done, others: []engine.Run{{ID: "over", Kind: Kind, State: engine.Done}, {ID: "mine", Kind: Kind, State: engine.Running}, {ID: "other", Kind: "backup", State: engine.Running}}}
	if err := w.Turn(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if len(s.watched) == 0 || s.watched[0] != "mine" || slices.Contains(s.watched, "other") || slices.Contains(s.watched, "over") {
		t.Errorf("it waited for %v", s.watched)
	}
	depths := func() (list []job.Depth) {
		for _, spec := range s.began {
			list = append(list, spec.Items[0].Body.(Check).How.Depth)
		}
		return list
	}
	read := 0
	for _, spec := range s.began {
		if spec.Items[0].Body.(Check).How.Depth == job.Scrub {
			read = len(spec.Items)
		}
	}
	if d := depths(); !slices.Contains(d, job.Scrub) || read != 21 { // 512 folders in 30 days, a fifth quicker
		t.Errorf("it began %v, and read %d folders", d, read)
	}
	before := len(s.began)
	if err := w.Turn(t.Context(), s); err != nil || slices.Contains(depths()[before:], job.Scrub) {
		t.Errorf("a second time it began %v: %v", depths()[before:], err)
	}
	w.Every = 24 * time.Hour
	s.state, s.began = engine.Partial, nil
	r2 := repotest.New(t)
	w.Repo, s.r = r2.Repository, r2
	err := w.Turn(t.Context(), s)
	if ivd.KindOf(err) != ivd.Permanent || ivd.RemedyOf(err) == "" || len(s.began[0].Items) != 512 {
		t.Errorf("%v", err)
	}
	over, stop := context.WithCancelCause(t.Context())
	ended := errors.New("the coordinator ends")
	stop(ended)
	s.others = s.others[:2]
	if err := w.Turn(over, s); !errors.Is(err, ended) {
		t.Errorf("%v", err)
	}
}
