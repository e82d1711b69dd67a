package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"ivdmover/mover/doctor"
	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// errFound is what a doctor ends with that found something: the report has told it.
var errFound = errors.New("see the checks that are BAD")

// patient is what a doctor's command line says.
type patient struct {
	disk, datastore, snapshot string
	capacity                  config.Size
	measure                   config.Size
	login                     job.Login
	passwordFile              string
	output                    string
	alone                     []string // flags of those that stand for a coordinator
}

func doctorCommands(f *flags) []*cobra.Command {
	var p patient
	c := &cobra.Command{
		Use:   "doctor --config FILE [--disk DISK]",
		Short: "Try out this host's VDDK and write a report that can be sent",
		Long: `doctor loads VDDK in a process of its own and tells what it is, what it has and
what it does: versions, symbols, transports, signal handlers. With --disk it
opens that disk read-only by each transport that mover.vddk.transports names,
reads its first and last MiB, compares its size with vSphere's, and measures how
fast each transport reads it. It writes to no disk.

Where the disk is, a login for it and what vSphere says of it are asked of the
coordinator, over the queue that movers use. The coordinator makes a snapshot to
read from, since a disk of a running VM cannot be opened without one, and deletes
it at the end: when this program says that it is done, when it is killed, after
30 minutes at the latest. The disk's relocation is not disabled meanwhile: who
relocates it fails the examination. With --snapshot that one is read, and none is
made.

Without a coordinator, --server and the flags below it say all of this. Then
neither queue nor repository is needed, and no snapshot is made.

Interrupt it once, and it closes the disk and writes the report so far. The
report has no password in it. Exit status: 0 all is good, 1 something is not, 2
wrong usage or configuration.`,
		Example: `  ivd-mover doctor --config /etc/ivd/ivd.yaml
  ivd-mover doctor --config /etc/ivd/ivd.yaml --disk 6f9e0c1d-… -o json > report.json
  ivd-mover doctor --config /etc/ivd/ivd.yaml --server vcenter.example.net \
    --user backup@vsphere.local --password-file /etc/ivd/vcenter.password \
    --thumbprint AA:BB:… --datastore datastore-52 --disk 6f9e0c1d-… --snapshot 1b2c…`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p.alone = changed(c, standIns)
			return examine(c.Context(), f, &p, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	v := c.Flags()
	v.StringVar(&p.disk, "disk", "", "the IVD's UUID, the beginning of it, or its name; empty: the library alone is tried")
	v.StringVar(&p.snapshot, "snapshot", "", "a snapshot of it that is there, to read from")
	v.TextVar(&p.measure, "measure", config.Size(256<<20), "how much to read by each transport")
	v.StringVarP(&p.output, "output", "o", "text", "text or json")
	v.StringVar(&p.login.Server, "server", "", "the vCenter's name or address: no coordinator is asked")
	v.StringVar(&p.login.User, "user", "", "whom to log in as")
	v.StringVar(&p.passwordFile, "password-file", "", "a file with the password and nothing else")
	v.StringVar(&p.login.Thumbprint, "thumbprint", "", "SHA-1 of the vCenter's certificate, AA:BB:…")
	v.StringVar(&p.datastore, "datastore", "", "the disk's datastore's managed object id, such as datastore-52")
	v.TextVar(&p.capacity, "capacity", config.Size(0), "the disk's size as vSphere says it, such as 16GiB, to be compared")
	v.IntVar(&p.login.Port, "port", 443, "the vCenter's HTTPS port")
	v.IntVar(&p.login.NFCPort, "nfc-port", 0, "the hosts' data port; 0: VDDK's own")
	v.SortFlags = false
	return []*cobra.Command{c, {
		Use: doctorChild, Hidden: true, Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return examineHere(f, c.InOrStdin(), c.OutOrStdout()) },
	}}
}

// standIns are the flags that have a meaning only where no coordinator is asked.
var standIns = []string{"server", "user", "password-file", "thumbprint", "datastore", "capacity", "port", "nfc-port"}

func changed(c *cobra.Command, names []string) (given []string) {
	for _, name := range names {
		if c.Flags().Changed(name) {
			given = append(given, name)
		}
	}
	return given
}

// check finds what is wrong with the command line; errors are the user's.
func (p *patient) check() error {
	if p.output != "text" && p.output != "json" {
		return wrongUsage(fmt.Errorf("--output %q: want text or json", p.output))
	}
	if p.disk == "" && (len(p.alone) > 0 || p.snapshot != "") {
		return wrongUsage(fmt.Errorf("--%s needs --disk", append(p.alone, "snapshot")[0]))
	}
	if len(p.alone) == 0 {
		return nil
	}
	var missing []string
	for name, value := range map[string]string{
		"datastore": p.datastore, "server": p.login.Server, "user": p.login.User,
		"password-file": p.passwordFile, "thumbprint": p.login.Thumbprint,
	} {
		if value == "" {
			missing = append(missing, "--"+name)
		}
	}
	if len(missing) > 0 {
		return wrongUsage(fmt.Errorf("--%s is for an examination without a coordinator, and %s missing", p.alone[0], are(missing)))
	}
	return nil
}

// configure reads of the configuration what a doctor and its child need.
func configure(f *flags) (*config.Config, error) {
	if f.config == "" {
		return nil, wrongUsage(errors.New("--config is needed"))
	}
	c, err := config.Load(f.config)
	if err != nil {
		return nil, usageError{err}
	}
	if f.name != "" {
		c.Mover.Name = f.name
	}
	if c.Queue.URL = c.Queue.Address(); f.queue != "" {
		c.Queue.URL = f.queue
	}
	if err := c.ValidateVDDK(); err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

// examine finds out where the disk is and how to read it, and has a child do that.
func examine(ctx context.Context, f *flags, p *patient, out, words io.Writer) (err error) {
	if err := p.check(); err != nil {
		return err
	}
	c, err := configure(f)
	if err != nil {
		return err
	}
	asked := interrupts(ctx)
	defer asked.close()
	o := order{Measure: int64(p.measure)}
	var v *visit
	switch {
	case p.disk == "":
	case len(p.alone) > 0:
		o, err = p.order()
	default:
		if v, err = visiting(asked.once, c, p); err == nil {
			defer v.leave()
			o = v.order(int64(p.measure))
		}
	}
	if err != nil {
		return err
	}
	h := house{config: c, flags: f, patient: p, words: words}
	report, err := h.examine(asked, o)
	if err != nil {
		return err
	}
	if v != nil {
		v.end(asked.twice, &report)
	}
	if err := p.write(out, &report); err != nil {
		return err
	}
	if !report.Good() {
		return errFound
	}
	return nil
}

// order is what is examined where the command line says it all.
func (p *patient) order() (order, error) {
	password, err := os.ReadFile(p.passwordFile)
	if err != nil {
		return order{}, usageError{fmt.Errorf("--password-file: %w", err)}
	}
	login := p.login
	login.Password = ivd.Secret(strings.TrimRight(string(password), "\r\n"))
	return order{
		Disk:     ivd.NewDiskRef("", ivd.DatastoreID(p.datastore), ivd.DiskID(p.disk)),
		Snapshot: ivd.SnapshotID(p.snapshot), Login: openly(login), Capacity: int64(p.capacity), Measure: int64(p.measure),
	}, nil
}

func (p *patient) write(out io.Writer, r *doctor.Report) error {
	if p.output == "text" {
		return r.WriteText(out)
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
