package restore_test

import (
	"fmt"
	"slices"
	"testing"

	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/restore"
)

// lanes share the calls of a restore between them: each waits out its own faults.
const lanes = 4

// Whichever call of a restore fails once, to the vCenter or to the store, from the request
// on: the disk is restored, has its name, and no other one is left.
func TestAnyCallOfARestoreMayFailOnce(t *testing.T) {
	t.Parallel()
	for lane := range lanes {
		t.Run(fmt.Sprint(lane), func(t *testing.T) {
			t.Parallel()
			b := coordtest.New(t)
			p := b.Passing()
			c, _, point := backedUp(b)
			bring := func(name string) error {
				s, err := c.Restore.Run(t.Context(), restore.Request{Point: point, Name: name})
				if err != nil {
					return err
				}
				v, err := c.Engine.Begin(t.Context(), s)
				if err != nil {
					return err
				}
				if v = b.Until(c, v.ID, coordtest.Ended); v.State != engine.Done {
					return fmt.Errorf("%s: %+v", v.State, v.Items[0].Failure)
				}
				return nil
			}
			want, call := []string{"a"}, "none"
			for n := lane + 1; call != ""; n += lanes {
				name := fmt.Sprintf("back-%03d", n)
				want = append(want, name)
				p.Fail(n)
				err := bring(name)
				if call = p.Failed(); err != nil {
					t.Errorf("%s: %v", call, err)
				} else if got := names(b); !slices.Equal(got, want) {
					t.Errorf("%s: disks %q, want %q", call, got, want)
				}
				want = names(b)
			}
		})
	}
}
