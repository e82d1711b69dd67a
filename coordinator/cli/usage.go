package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"ivdmover/shared/ivd"
)

// usagef returns an error of the command line.
func usagef(format string, args ...any) error {
	return &ivd.Error{Kind: ivd.Invalid, Err: fmt.Errorf(format, args...)}
}

// asUsage turns an error of cobra's into one line whose remedy names the command's
// help.
func asUsage(err error, args []string) error {
	message, _, _ := strings.Cut(err.Error(), "\n")
	remedy := ivd.RemedyOf(err)
	if remedy == "" {
		remedy = "see `" + strings.Join(append([]string{"ivd"}, words(args)...), " ") + " --help`"
	}
	return &ivd.Error{Kind: ivd.Invalid, Err: errors.New(message), Remedy: remedy}
}

// words are the arguments that name the command, before its flags.
func words(args []string) []string {
	c, _, err := Root(Extra{}).Find(args)
	if err != nil || !c.HasParent() {
		return nil
	}
	return strings.Fields(c.CommandPath())[1:]
}

// onlyGroup marks a command that only groups others: run alone, it shows its help.
const onlyGroup = "group"

// usageLine removes the usage line of commands that only group others.
func usageLine(template string) string {
	return strings.Replace(template, "{{if .Runnable}}", "{{if and .Runnable (not .Annotations."+onlyGroup+")}}", 1)
}

// tidy sets on every command what all have in common.
func tidy(c *cobra.Command) {
	if c.Args == nil {
		c.Args = noArgs
	}
	if !c.Runnable() {
		c.Annotations = map[string]string{onlyGroup: "yes"}
		c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	}
	c.DisableFlagsInUseLine = true
	for _, sub := range c.Commands() {
		tidy(sub)
	}
}

// noArgs refuses arguments. Where a command has commands below it, the error names
// the one with the nearest name.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if !c.HasAvailableSubCommands() {
		return &ivd.Error{Kind: ivd.Invalid, Err: fmt.Errorf("%s takes no argument, and got %q", c.CommandPath(), args[0]), Remedy: seeHelp(c)}
	}
	err := &ivd.Error{Kind: ivd.Invalid, Err: fmt.Errorf("unknown command %q", c.CommandPath()+" "+args[0]), Remedy: seeHelp(c)}
	c.SuggestionsMinimumDistance = 2
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		err.Remedy = "did you mean `" + c.CommandPath() + " " + near[0] + "`?"
	}
	return err
}

func seeHelp(c *cobra.Command) string { return "see `" + c.CommandPath() + " --help`" }

// help is cobra's command of that name, which refuses what is no command.
func help() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND…]",
		Short: "Show the help of a command",
		Args:  cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			of, rest, err := c.Root().Find(args)
			if err == nil && len(rest) > 0 {
				err = noArgs(of, rest)
			}
			if err != nil {
				return err
			}
			of.InitDefaultHelpFlag() // else --help is not in it
			return of.Help()
		},
	}
}

// oneArg requires exactly one argument, which errors call by name.
func oneArg(name string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return usagef("%s needs a %s", c.CommandPath(), name)
		case len(args) > 1:
			return usagef("%s takes one %s, and got %d arguments", c.CommandPath(), name, len(args))
		}
		return nil
	}
}
