package estate

import (
	"fmt"
	"slices"
	"testing"

	"golang.org/x/sync/errgroup"
)

// Whoever is answered finds what it has changed in the file, however many come at once;
// what is asked for again is there, too.
func TestWhatIsAnsweredIsInTheFile(t *testing.T) {
	e, err := Open(Options{Dir: t.TempDir(), Datastores: []string{"datastore1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	var calls errgroup.Group
	for i := range 200 {
		calls.Go(func() error {
			h := Hold{Machine: "m", Identity: fmt.Sprint(i / 2)}
			err := e.update(func(s *state) error {
				if slices.Contains(s.Holds, h) {
					return errUnchanged
				}
				s.Holds = append(s.Holds, h)
				return nil
			})
			if err != nil {
				return err
			}
			stored, err := readState(e.o.Dir)
			if err == nil && !slices.Contains(stored.Holds, h) {
				err = fmt.Errorf("%+v was answered, and is not in the file", h)
			}
			return err
		})
	}
	if err := calls.Wait(); err != nil {
		t.Error(err)
	}
}
