package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"ivdmover/coordinator/cli/text"
	"ivdmover/coordinator/heads"
	"ivdmover/shared/ivd"
)

func (a *app) repoHead() *cobra.Command {
	var file, check string
	c := &cobra.Command{
		Use:   "head",
		Short: "Print the last record of each coordinator, or compare with what was printed",
		Long: `Reads the records of all runs, and prints the last one of each coordinator: a repository
that was brought back to an earlier state no longer has it. Keep what this prints with
-o json where nobody who can write to the store can change it, beside the recovery
sheet.

With --check FILE it compares: exit code 1 where the repository is not what FILE says was
seen of it. Coordinators do so by themselves before each run, with what they have seen.`,
		Example: `  ivd repo head --config /etc/ivd/ivd.yaml
  ivd repo head --config /etc/ivd/ivd.yaml -o json > heads.json
  ivd repo head --config /etc/ivd/ivd.yaml --check heads.json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			was, err := readHeads(check)
			if err != nil {
				return err
			}
			r, err := a.openRepository(cmd.Context(), file, whatIsThere)
			if err != nil {
				return err
			}
			if check != "" {
				if err := heads.Since(cmd.Context(), r, was); err != nil {
					return err
				}
			}
			now, err := heads.All(cmd.Context(), r, func(id ivd.RunID, err error) {
				slog.Warn("reading the record of a run failed: it does not count", "run", id, "err", err)
			})
			if err != nil {
				return err
			}
			return a.show(now, func(w io.Writer) error { return writeHeads(w, now) })
		},
	}
	withConfig(c, &file)
	c.Flags().StringVar(&check, "check", "", "compare with what -o json has printed into `FILE`")
	_ = c.MarkFlagFilename("check", "json") // fails only where there is no such flag
	return a.withOutput(c)
}

// readHeads reads what was printed; nothing where no file is named.
func readHeads(file string) (h heads.Heads, err error) {
	if file == "" {
		return h, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return h, &ivd.Error{Kind: ivd.Invalid, Op: "--check", Err: err, Remedy: "name a file that `ivd repo head -o json` has printed"}
	}
	if err := json.Unmarshal(b, &h); err != nil || h.Repository == "" {
		return h, &ivd.Error{Kind: ivd.Invalid, Op: "--check " + file, Err: fmt.Errorf("it is not what `ivd repo head -o json` prints"), Remedy: "name a file that it has printed"}
	}
	return h, nil
}

func writeHeads(w io.Writer, h heads.Heads) error {
	facts := []fact{{"repository", h.Repository}, {"incarnation", string(h.Incarnation)}, {"generation", strconv.FormatUint(h.Generation, 10)}}
	if h.Ring > 0 {
		facts = append(facts, fact{"keys' generation", strconv.FormatUint(h.Ring, 10)})
	}
	if err := writeFacts(w, facts); err != nil {
		return err
	}
	t := text.Table{Columns: []text.Column{text.Left("COORDINATOR"), text.Left("SIGNED BY"), text.Right("RECORD"), text.Left("RUN"), text.Left("SUM")}}
	for _, x := range h.Heads {
		signer := ""
		if !x.Signer.IsZero() {
			signer = x.Signer.String()
		}
		t.Row(x.Coordinator, signer, strconv.FormatUint(x.Sequence, 10), string(x.Run), x.Sum.String())
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	return t.Write(w)
}
