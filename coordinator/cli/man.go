package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ivdmover/shared/ivd"
)

func (a *app) man() *cobra.Command {
	return &cobra.Command{
		Use:     "man FOLDER",
		Short:   "Write the manual pages into a folder",
		Example: `  ivd man /usr/local/share/man/man1 && man ivd-backup`,
		Args:    oneArg("FOLDER"),
		RunE: func(c *cobra.Command, args []string) error {
			n, err := writePages(c.Root(), args[0])
			if err != nil {
				return &ivd.Error{Kind: ivd.Invalid, Op: "write manual pages", Err: err, Remedy: "name a folder that exists and that you can write to"}
			}
			_, err = fmt.Fprintf(a.out, "%d manual pages in %s\n", n, args[0])
			return err
		},
	}
}

// writePages writes the page of a command and of those below it.
func writePages(c *cobra.Command, dir string) (int, error) {
	if !c.IsAvailableCommand() && c.HasParent() {
		return 0, nil
	}
	name := filepath.Join(dir, pageName(c)+".1")
	if err := os.WriteFile(name, []byte(page(c)), 0o644); err != nil {
		return 0, err
	}
	n := 1
	for _, sub := range c.Commands() {
		more, err := writePages(sub, dir)
		if err != nil {
			return n, err
		}
		n += more
	}
	return n, nil
}

func pageName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// page is a command's manual page in roff's man macros. It has no date, so that
// the same program always writes the same pages.
func page(c *cobra.Command) string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p(".TH %s 1 \"\" \"ivdmover\" \"User Commands\"", strings.ToUpper(strings.ReplaceAll(pageName(c), "-", "\\-")))
	p(".SH NAME\n%s \\- %s", roff(pageName(c)), roff(c.Short))
	p(".SH SYNOPSIS\n.B %s", roff(c.UseLine()))
	if c.Long != "" {
		p(".SH DESCRIPTION")
		for paragraph := range strings.SplitSeq(c.Long, "\n\n") {
			p(".PP\n%s", roff(paragraph))
		}
	}
	flags(p, "OPTIONS", c.NonInheritedFlags())
	if c.HasAvailableSubCommands() {
		p(".SH COMMANDS")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				p(".TP\n.BR %s (1)\n%s", roff(pageName(sub)), roff(sub.Short))
			}
		}
	}
	if c.Example != "" {
		p(".SH EXAMPLES\n.PP\n.nf\n%s\n.fi", roff(c.Example))
	}
	if c.HasParent() {
		p(".SH SEE ALSO\n.BR %s (1)", roff(pageName(c.Parent())))
	}
	return b.String()
}

func flags(p func(string, ...any), title string, set *pflag.FlagSet) {
	if !set.HasAvailableFlags() {
		return
	}
	p(".SH %s", title)
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		value, usage := pflag.UnquoteUsage(f)
		if value != "" {
			name += " " + value
		}
		p(".TP\n.B %s\n%s", roff(name), roff(usage))
	})
}

// roff keeps text from being taken for requests: a backslash, a hyphen, and a dot
// or an apostrophe at the beginning of a line.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}
