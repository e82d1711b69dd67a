package cli

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/keyring"
	"ivdmover/coordinator/serve"
	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/open"
)

// adoption is what `ivd repo adopt` has done, as it is printed.
type adoption struct {
	api.Repository

	Before  ivd.IncarnationID `json:"incarnation_before"`
	Dropped []ivd.LeaseID     `json:"dropped_leases"`
	Kept    []keptLease       `json:"kept_leases"`
	Ring    *lostRing         `json:"lost_ring,omitempty"`
}

// lostRing are the generations of a ring that was older than this host has seen it.
type lostRing struct {
	Seen  uint64 `json:"seen"`
	Found uint64 `json:"found"`
	Now   uint64 `json:"now"`
}

// keptLease is a lease that cannot be read, and stands until its deadline.
type keptLease struct {
	ID     ivd.LeaseID `json:"id"`
	Reason string      `json:"reason"`
}

func (a *app) repoAdopt() *cobra.Command {
	var file string
	var older bool
	c := &cobra.Command{
		Use:   "adopt",
		Short: "Make a copied or restored repository one of its own",
		Long: `Gives the repository that repository.url names a new incarnation, and drops the leases
that were opened before. Run it on a copy before it is backed up to beside the
original, and on a bucket that was brought back to an earlier state: what coordinators
and movers remember of it counts no longer, so the next backups ask for every pack
that they build on, once. Restore points stay as they are. Run it with the configuration
of the coordinator that has found the repository changed: the new generations, of
repo.json and of the keys, are above those that it has seen.

Where the keys in the store (keys/ring) are older than those that this host has seen,
nothing is done: what was sealed to a data key that was made since could not be read any
more, and a signer that was removed since could sign again. Put that object's last version
back. Where it is lost, --older-ring makes the older one count.

Nothing may be at work on the repository meanwhile: end ivd serve, movers and
collections. A store that cannot replace an object on the condition that it is
unchanged is refused.`,
		Example: `  ivd repo adopt --config /etc/ivd/copy.yaml
  ivd repo adopt --config /etc/ivd/ivd.yaml --older-ring`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.openAs(cmd.Context(), file, open.Open, keyring.Options{Adopting: true})
			if err != nil {
				return err
			}
			cfg, err := config.Load(file)
			if err != nil {
				return err
			}
			was, err := seenBefore(cfg.StateDir, r)
			if err != nil { // the lowest generation that may do is the next one
				slog.Warn("reading what this host has seen of the repository failed", "err", err)
			}
			done, err := r.AdoptAbove(cmd.Context(), repo.Generations{Info: was.Generation, Ring: was.Ring, OlderRing: older})
			if err != nil {
				return err
			}
			shown := adoption{Repository: serve.DescribeRepository(r), Before: done.Before, Dropped: append([]ivd.LeaseID{}, done.Dropped...), Kept: []keptLease{}}
			for _, l := range done.Kept {
				shown.Kept = append(shown.Kept, keptLease{ID: l.ID, Reason: l.Unknown.Error()})
			}
			if done.Unsigned != nil {
				slog.Warn("repo.json was taken for what it says, though the root key had not signed it", "why", done.Unsigned)
			}
			if done.Ring.Lost() {
				shown.Ring = new(lostRing(done.Ring))
			}
			return a.show(shown, func(w io.Writer) error { return writeAdoption(w, shown) })
		},
	}
	withConfig(c, &file)
	c.Flags().BoolVar(&older, "older-ring", false, "take keys that are older than those that this host has seen")
	return a.withOutput(c)
}

func writeAdoption(w io.Writer, a adoption) error {
	_, err := fmt.Fprintf(w, "adopted repository %s at %s: incarnation %s, generation %d; %d leases dropped\n", a.ID, a.URL, a.Incarnation, a.Generation, len(a.Dropped))
	for _, l := range a.Kept {
		if err == nil {
			_, err = fmt.Fprintf(w, "lease %s cannot be read, and stands until its deadline: %s\n", l.ID, l.Reason)
		}
	}
	if r := a.Ring; err == nil && r != nil {
		_, err = fmt.Fprintf(w, "keys/ring was of generation %d, and this host has seen generation %d; it is of generation %d now. What was changed of the keys in between is undone: a signer that was removed may sign again, and data keys that were made are lost. See `ivd repo key list`, and change them again\n", r.Found, r.Seen, r.Now)
	}
	return err
}
