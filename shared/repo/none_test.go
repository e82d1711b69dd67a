package repo_test

import (
	"errors"
	"testing"

	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
)

// An empty store has no repository; one that has lost its repo.json has, and that is told.
func TestNoRepository(t *testing.T) {
	if _, err := repo.Open(t.Context(), newBucket()); !errors.Is(err, repo.ErrNone) {
		t.Errorf("an empty store: %v", err)
	}
	r := repotest.New(t)
	r.Save(repotest.NewDisk(goldenGeometry), repotest.Layout{})
	if err := r.Clock.Delete(t.Context(), "repo.json"); err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Open(t.Context(), r.Clock); err == nil || errors.Is(err, repo.ErrNone) {
		t.Errorf("repo.json is lost: %v", err)
	}
}
