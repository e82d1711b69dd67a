// Command ivd backs up VMware's Improved Virtual Disks to object storage: the
// coordinator service, and the command line that asks it. It only puts rooms
// together: the commands are package cli's, and it alone brings the laboratory
// and the demonstration, which no other room of the coordinator knows.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"ivdmover/coordinator/cli"
	"ivdmover/deploy/demo"
	"ivdmover/deploy/lab"
	"ivdmover/shared/dump"
	"ivdmover/shared/ivd"
)

func main() {
	if err := dump.None(); err != nil { // passwords are in this process
		fmt.Fprintln(os.Stderr, "ivd:", err)
		os.Exit(1)
	}
	os.Exit(cli.Main(cli.Extra{Lab: runLab, LabWrite: writeLab, Demo: runDemo}))
}

func runLab(ctx context.Context, o cli.LabOptions) error {
	var failed error
	err := lab.Run(ctx, lab.Options{Dir: o.Dir, Listen: o.Listen, ESX: o.ESX, Disks: o.Disks, DiskSize: o.DiskSize, LibDir: labLibrary()}, func(r lab.Ready) {
		failed = json.NewEncoder(o.Out).Encode(r)
	})
	if err == nil {
		err = failed
	}
	return err
}

// labLibrary is the folder of the laboratory's libvixDiskLib: where IVD_VDDK_LIBDIR
// says, or where make puts it beside this program. Empty: there is none.
func labLibrary() string {
	if dir := os.Getenv("IVD_VDDK_LIBDIR"); dir != "" {
		return dir
	}
	self, err := os.Executable()
	if err != nil {
		return ""
	}
	for _, dir := range []string{"vddk-lab", "../build/vddk-lab"} {
		dir = filepath.Join(filepath.Dir(self), dir)
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return dir
		}
	}
	return ""
}

func writeLab(ctx context.Context, o cli.LabWriteOptions) error {
	_, err := lab.Write(ctx, o.Dir, ivd.DiskID(o.Disk), o.Offset, o.Content)
	return err
}

func runDemo(ctx context.Context, o cli.DemoOptions) error {
	story := o.Out
	if o.JSON {
		story = o.Err
	}
	return demo.Run(ctx, demo.Options{Keep: o.Keep, Disks: o.Disks, Size: o.Size, Repository: o.Repository, JSON: o.JSON, Out: o.Out, Story: story})
}
