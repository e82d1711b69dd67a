package cli

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"

	"github.com/spf13/cobra"

	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
)

// size is a flag of bytes, written "64MiB".
type size config.Size

// String, Set and Type implement pflag.Value.
func (s *size) String() string { return config.Size(*s).String() }

// Set reads a size.
func (s *size) Set(text string) error { return (*config.Size)(s).UnmarshalText([]byte(text)) }

// Type is the name of the value in help.
func (s *size) Type() string { return "SIZE" }

func (a *app) lab() *cobra.Command {
	o := LabOptions{Out: a.out}
	diskSize := size(64 << 20)
	c := &cobra.Command{
		Use:   "lab --dir DIR",
		Short: "Run the vCenter laboratory in the foreground",
		Long: `Runs a simulated vCenter with IVDs in ordinary files below DIR, with snapshots and
changed block tracking that really work, until it is interrupted. When it is ready it
prints one line of JSON: url, username, password, thumbprint, vddk_libdir. A DIR that
has a laboratory already is used as it is.

It is for tests and for trying things out; it lets everybody in.`,
		Example: `  ivd lab --dir /tmp/lab --disks 4 --disk-size 256MiB
  ivd lab --dir /tmp/lab --listen 127.0.0.1:8989
  ivd lab --dir /tmp/lab --esx`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Dir == "" {
				return needs("ivd lab", "--dir")
			}
			if o.Disks < 0 {
				return usagef("--disks %d: want 0 or more", o.Disks)
			}
			if a.extra.Lab == nil {
				return errNotInBuild
			}
			o.DiskSize = int64(diskSize)
			return a.extra.Lab(cmd.Context(), o)
		},
	}
	c.Flags().StringVar(&o.Dir, "dir", "", "the `FOLDER` of its disks and its state")
	c.Flags().StringVar(&o.Listen, "listen", "127.0.0.1:0", "`ADDRESS` of its vSphere API")
	c.Flags().BoolVar(&o.ESX, "esx", false, "simulate an ESXi host without a vCenter")
	c.Flags().IntVar(&o.Disks, "disks", 0, "make `N` disks at its first start")
	c.Flags().Var(&diskSize, "disk-size", "how large each of them is")
	c.AddCommand(a.labWrite())
	return c
}

func (a *app) labWrite() *cobra.Command {
	var (
		o      LabWriteOptions
		offset size
		random size
		file   string
		seed   uint64
	)
	c := &cobra.Command{
		Use:   "write --dir DIR --disk ID --offset N (--file F | --random N --seed S)",
		Short: "Write to a laboratory disk as a guest does, seen by changed block tracking",
		Example: `  ivd lab write --dir /tmp/lab --disk 2b7f5c1e-0d7e-4f4b-9a53-0b6b7a1d2c3e --offset 1MiB --random 64KiB --seed 7
  ivd lab write --dir /tmp/lab --disk 2b7f5c1e-0d7e-4f4b-9a53-0b6b7a1d2c3e --offset 0 --file image.raw`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, name := range []string{"dir", "disk", "offset"} {
				if !cmd.Flags().Changed(name) {
					return needs("ivd lab write", "--"+name)
				}
			}
			if cmd.Flags().Changed("file") == cmd.Flags().Changed("random") {
				return usagef("ivd lab write: give one of --file and --random")
			}
			id, err := ivd.ParseDiskID(o.Disk)
			if err != nil {
				return err
			}
			if a.extra.LabWrite == nil {
				return errNotInBuild
			}
			o.Disk, o.Offset, o.Content = string(id), int64(offset), randomBytes(int64(random), seed)
			if file != "" {
				f, err := os.Open(file)
				if err != nil {
					return &ivd.Error{Kind: ivd.Invalid, Op: "--file", Err: err, Remedy: "name a file that this user can read"}
				}
				defer f.Close()
				o.Content = f
			}
			return a.extra.LabWrite(cmd.Context(), o)
		},
	}
	c.Flags().StringVar(&o.Dir, "dir", "", "the laboratory's `FOLDER`")
	c.Flags().StringVar(&o.Disk, "disk", "", "the disk's `ID`")
	c.Flags().Var(&offset, "offset", "where to write, from the disk's beginning")
	c.Flags().StringVar(&file, "file", "", "write the content of this `FILE`")
	c.Flags().Var(&random, "random", "write this many random bytes")
	c.Flags().Uint64Var(&seed, "seed", 0, "the random bytes' `SEED`: the same seed gives the same bytes")
	return c
}

// randomBytes returns n bytes that follow from the seed and do not compress.
func randomBytes(n int64, seed uint64) io.Reader {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	return io.LimitReader(rand.NewChaCha8(key), n)
}

func (a *app) demo() *cobra.Command {
	o := DemoOptions{Out: a.out, Err: a.errs}
	each := size(64 << 20)
	c := &cobra.Command{
		Use:   "demo",
		Short: "Play the whole story on this machine, and check it",
		Long: `Starts a vCenter laboratory, a coordinator and movers on this machine, backs disks up,
lets guests write, backs up what changed, kills a mover on the way, restores, and
compares byte for byte. It cleans up after itself unless --keep is given. The exit
code is 0 when every step succeeded and every disk is identical.`,
		Example: `  ivd demo
  ivd demo --disks 8 --size 256MiB
  ivd demo --keep -o json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.format == asYAML {
				return usagef("ivd demo shows its result as table or json")
			}
			if o.Disks < 0 {
				return usagef("--disks %d: want 0 or more", o.Disks)
			}
			if a.extra.Demo == nil {
				return errNotInBuild
			}
			o.Size, o.JSON = int64(each), a.format == asJSON
			return a.extra.Demo(cmd.Context(), o)
		},
	}
	c.Flags().BoolVar(&o.Keep, "keep", false, "leave everything in its folder")
	c.Flags().IntVar(&o.Disks, "disks", 0, "`N` plain disks beside those that the story needs")
	c.Flags().Var(&each, "size", "how large each of these is")
	c.Flags().StringVar(&o.Repository, "repository", "", "`URL` of the repository, or s3 for an S3 server that the demo starts; else a folder of its own")
	return a.withOutput(c)
}

var errNotInBuild = ivd.Errorf(ivd.Unsupported, "not part of this build of ivd")

// needs returns the error of a missing flag.
func needs(command, flag string) error {
	return &ivd.Error{Kind: ivd.Invalid, Err: fmt.Errorf("%s needs %s", command, flag), Remedy: "see `" + command + " --help`"}
}
