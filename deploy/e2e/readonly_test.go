package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ivdmover/deploy/stage"
	"ivdmover/shared/store/storetest"
)

// A repository that nobody can write to any more is restored from without a lease:
// coordinator and movers start on it, say what still works, and change nothing.
func TestRestoreFromAReadOnlyRepository(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		begin   func(t *testing.T, s *stage.Stage) *stage.Process
		protect func(t *testing.T, s *stage.Stage, store *stage.Process)
	}{
		"folder": {
			func(*testing.T, *stage.Stage) *stage.Process { return nil },
			func(t *testing.T, s *stage.Stage, _ *stage.Process) {
				storetest.WriteProtect(t, s.Path("repository"))
			},
		},
		"bucket": {
			func(t *testing.T, s *stage.Stage) *stage.Process {
				p, err := s.StartS3(t.Context())
				must(t, err)
				return p
			},
			func(t *testing.T, s *stage.Stage, store *stage.Process) {
				must(t, store.Stop())
				_, err := s.RestartS3(t.Context(), "--readonly")
				must(t, err)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			store := c.begin(t, s)
			d := filled(t, s, "disk", 24, 20)
			coordinator, movers := serve(t, s, "m1")
			want := copied(t, s, d, "want")
			point := backup(t, s, coordinator).Disk("disk").Point
			must(t, movers[0].Stop())
			must(t, coordinator.Stop())
			c.protect(t, s, store)
			before := objects(t, s.Path("repository"))

			coordinator, err := s.StartCoordinator(t.Context())
			must(t, err)
			_, err = s.StartMover("m1")
			must(t, err)
			must(t, s.AwaitMovers(t.Context(), coordinator, 1))
			must(t, coordinator.Await(t.Context(), "the coordinator says what works", time.Minute, func() bool {
				log, err := os.ReadFile(s.Path("logs", "coordinator.log"))
				return err == nil && strings.Contains(string(log), "the store refuses writes: only restores with --no-lease work")
			}))
			oneLine(t, s, 1, []string{"restore with --no-lease"}, "restore", point, "--name", "back")
			oneLine(t, s, 1, nil, "backup", "--policy", "all")
			var begun stage.Run
			must(t, s.Ask(t.Context(), &begun, "restore", point, "--name", "back", "--no-lease"))
			_, err = s.Ended(t.Context(), coordinator, begun.ID, limit)
			must(t, err)
			back, err := s.ByName(t.Context(), "back")
			must(t, err)
			flat, err := s.Flat(back)
			must(t, err)
			if _, err := stage.Compare(want, flat); err != nil {
				t.Error(err)
			}
			if after := objects(t, s.Path("repository")); after != before {
				t.Errorf("the repository holds %s, before %s", after, before)
			}
			nothingLeft(t, s)
		})
	}
}

// objects names the files of a folder.
func objects(t *testing.T, folder string) string {
	t.Helper()
	var names []string
	must(t, filepath.WalkDir(folder, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			names = append(names, path)
		}
		return err
	}))
	return strings.Join(names, " ")
}
