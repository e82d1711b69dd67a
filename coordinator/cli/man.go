package cli

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"ivdmover/shared/ivd"
)

func (a *app) man() *cobra.Command {
	return &cobra.Command{
		Use:     "man FOLDER",
		Short:   "Write the manual pages into a folder",
		Example: `  ivd man /usr/local/share/man/man1 && man ivd-backup`,
		Args:    oneArg("FOLDER"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := writePages(c.Root(), args[0]); err != nil {
				return &ivd.Error{Kind: ivd.Invalid, Op: "write manual pages", Err: err, Remedy: "name a folder that exists and that you can write to"}
			}
			_, err := fmt.Fprintf(a.out, "manual pages written to %s\n", args[0])
			return err
		},
	}
}

// writePages writes the page of every command. The same program always writes the
// same pages: their date is the source's, and nothing says when they were written.
func writePages(root *cobra.Command, folder string) error {
	date := sourceDate()
	root.DisableAutoGenTag = true // its subcommands follow
	return doc.GenManTreeFromOpts(root, doc.GenManTreeOptions{
		Header:           &doc.GenManHeader{Section: "1", Date: &date, Source: "ivdmover", Manual: "User Commands"},
		Path:             folder,
		CommandSeparator: "-",
	})
}

// sourceDate is when the program's revision was committed; the beginning of Unix
// time where the build does not know.
func sourceDate() time.Time {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key != "vcs.time" {
				continue
			}
			if t, err := time.Parse(time.RFC3339, s.Value); err == nil {
				return t
			}
		}
	}
	return time.Unix(0, 0).UTC()
}
