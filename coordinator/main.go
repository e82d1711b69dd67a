// Command ivd backs up VMware's Improved Virtual Disks to object storage: the
// coordinator service, and the command line that asks it. It only puts rooms
// together: the commands are package cli's, and it alone brings the laboratory
// and the demonstration, which no other room of the coordinator knows.
package main

import (
	"context"
	"os"

	"ivdmover/coordinator/cli"
	"ivdmover/deploy/demo"
)

func main() {
	os.Exit(cli.Main(cli.Extra{Demo: runDemo}))
}

func runDemo(ctx context.Context, o cli.DemoOptions) error {
	story := o.Out
	if o.JSON {
		story = o.Err
	}
	return demo.Run(ctx, demo.Options{Keep: o.Keep, Disks: o.Disks, Size: o.Size, Repository: o.Repository, JSON: o.JSON, Out: o.Out, Story: story})
}
