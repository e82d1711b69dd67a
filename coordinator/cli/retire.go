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
	c := a.judgePacks("retired", writerJudge{done: "retired", would: "would be retired", judge: retireWritten}, func(ctx context.Context, r *repo.Repository, reason string, packs []ivd.PackID) error {
		return r.Retire(ctx, reason, packs)
	})
	c.Use = "retire PACK... | --writer W"
	c.Short = "Say that packs are damaged, or a mover is not to be trusted"
	c.Long = `Stores that these packs are damaged. No later backup builds on them: what they hold and
the disks still have is read and stored anew. ivd points marks the restore points that
need them. Nothing is deleted, and a restore reads of them what it can.

What a restore or a backup finds damaged is retired without this command. PACK is a
pack's id, or its name in the bucket.

With --writer all packs are meant that a writer has stored: one mover process under one
lease, by its id, or all that have worked by a mover's name, such as one that was
stolen, or whose memory has failed. They are found by the restore points' pages, and by
the headers of packs that no point needs. Without --dry-run it takes --yes. End the
mover before, and take its access away: what it stores later is not meant. Who wrote a
pack is what its writer says of itself.`
	c.Example = `  ivd repo retire --config /etc/ivd/ivd.yaml --reason "the bucket's disk 7 is lost" 1b4f…
  ivd repo retire --config /etc/ivd/ivd.yaml --writer proxy-3 --dry-run
  ivd repo retire --config /etc/ivd/ivd.yaml --writer proxy-3 --reason "proxy-3 was stolen" --yes`
	return c
}

func (a *app) repoUnretire() *cobra.Command {
	c := a.judgePacks("lifted", writerJudge{done: "lifted", would: "would be read, and lifted where they are whole", judge: liftWritten, retired: true}, damage.Lift)
	c.Use = "unretire PACK... | --writer W"
	c.Short = "Say that packs are whole after all"
	c.Long = `Lifts packs that were retired: backups build on them again. Each is read whole before, and
one that is missing or wrong is refused. Run it when a pack was put back, or when it was
retired by mistake. PACK is a pack's id, or its name in the bucket.

With --writer all retired packs are meant that a writer has stored, or all that have
worked by a mover's name, as ivd repo retire has it. Those that are whole are lifted,
the others are named and stay retired; the exit code is 3 then.`
	c.Example = `  ivd repo unretire --config /etc/ivd/ivd.yaml --reason "put back from the other site" 1b4f…
  ivd repo unretire --config /etc/ivd/ivd.yaml --writer proxy-3 --reason "it was found again, sealed" --yes`
	return c
}

// judgePacks is a command that says something of packs.
func (a *app) judgePacks(done string, w writerJudge, judge func(context.Context, *repo.Repository, string, []ivd.PackID) error) *cobra.Command {
	var file, reason string
	var o writerOptions
	c := &cobra.Command{
		Args: func(cmd *cobra.Command, args []string) error { return packsOrWriter(o, args) },
		RunE: func(cmd *cobra.Command, args []string) error {
			packs := make([]ivd.PackID, len(args))
			for i, arg := range args {
				var err error
				if packs[i], err = ivd.ParsePackID(path.Base(arg)); err != nil {
					return &ivd.Error{Kind: ivd.Invalid, Err: err, Remedy: "`ivd points -o json` shows the packs of damaged restore points"}
				}
			}
			if o.reason = strings.TrimSpace(reason); o.reason == "" && !o.dryRun {
				return ivd.Errorf(ivd.Invalid, "why is not said: give --reason")
			}
			r, err := a.openRepository(cmd.Context(), file, open.Open)
			if err != nil {
				return err
			}
			if o.writer != "" {
				return a.judgeWriter(cmd.Context(), r, o, w)
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
	c.Flags().StringVar(&o.writer, "writer", "", "in place of packs, all that were stored by `W`: a writer's id, or a mover's name")
	c.Flags().BoolVar(&o.dryRun, "dry-run", false, "with --writer: show which, and store nothing")
	c.Flags().BoolVar(&o.yes, "yes", false, "with --writer: do it")
	withConfig(c, &file)
	return a.withOutput(c)
}
