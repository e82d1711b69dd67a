package cli

import (
	"context"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"ivdmover/shared/damage"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/open"
)

// retirement is what `ivd repo retire` or `ivd repo unretire` has done, as it is
// printed.
type retirement struct {
	Packs  []ivd.PackID `json:"packs"`
	Reason string       `json:"reason"`
}

func (a *app) repoRetire() *cobra.Command {
	c := a.judgePacks("retired", func(ctx context.Context, r *repo.Repository, reason string, packs []ivd.PackID) error {
		return r.Retire(ctx, reason, packs)
	})
	c.Use = "retire PACK..."
	c.Short = "Say that packs are damaged"
	c.Long = `Stores that these packs are damaged. No later backup builds on them: what they hold and
the disks still have is read and stored anew. ivd points marks the restore points that
need them. Nothing is deleted, and a restore reads of them what it can.

What a restore or a backup finds damaged is retired without this command. PACK is a
pack's id, or its name in the bucket.`
	c.Example = `  ivd repo retire --config /etc/ivd/ivd.yaml --reason "the bucket's disk 7 is lost" 1b4f…`
	return c
}

func (a *app) repoUnretire() *cobra.Command {
	c := a.judgePacks("lifted", damage.Lift)
	c.Use = "unretire PACK..."
	c.Short = "Say that packs are whole after all"
	c.Long = `Lifts packs that were retired: backups build on them again. Each is read whole before, and
one that is missing or wrong is refused. Run it when a pack was put back, or when it was
retired by mistake. PACK is a pack's id, or its name in the bucket.`
	c.Example = `  ivd repo unretire --config /etc/ivd/ivd.yaml --reason "put back from the other site" 1b4f…`
	return c
}

// judgePacks is a command that says something of packs.
func (a *app) judgePacks(done string, judge func(context.Context, *repo.Repository, string, []ivd.PackID) error) *cobra.Command {
	var file, reason string
	c := &cobra.Command{
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			packs := make([]ivd.PackID, len(args))
			for i, arg := range args {
				var err error
				if packs[i], err = ivd.ParsePackID(path.Base(arg)); err != nil {
					return &ivd.Error{Kind: ivd.Invalid, Err: err, Remedy: "`ivd points -o json` shows the packs of damaged restore points"}
				}
			}
			if strings.TrimSpace(reason) == "" {
				return ivd.Errorf(ivd.Invalid, "why is not said: give --reason")
			}
			r, err := openRepository(cmd.Context(), file, open.Open)
			if err != nil {
				return err
			}
			if err := judge(cmd.Context(), r, reason, packs); err != nil {
				return err
			}
			shown := retirement{Packs: packs, Reason: reason}
			return a.show(shown, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s: %d packs\n", done, len(packs))
				return err
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for who reads the list later: a `TEXT`")
	withConfig(c, &file)
	return a.withOutput(c)
}
