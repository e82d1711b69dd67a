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

// errChecksFailed is the end of an examination in which a check failed: the report
// names it.
var errChecksFailed = errors.New("see the checks that are BAD")

// doctorFlags are the flags of the doctor.
type doctorFlags struct {
	disk, datastore, snapshot string
	capacity                  config.Size
	measure                   config.Size
	login                     job.Login
	passwordFile              string
	output                    string
	standalone                []string // the given ones of standaloneFlags
}

func doctorCommands(f *flags) []*cobra.Command {
	var p doctorFlags
	c := &cobra.Command{
		Use:   "doctor --config FILE [--disk DISK]",
		Short: "Try out this host's VDDK and write a report that can be sent",
		Long: `doctor loads VDDK in a process of its own and reports its version, its symbols,
its transports and the signal handlers that it sets. With --disk it
opens that disk read-only by each transport that mover.vddk.transports names,
reads its first and last MiB, compares its size with vSphere's, and measures how
fast each transport reads it. It writes to no disk.

The coordinator is asked, over the queue that movers use, where the disk is, for
a login to it, and what vSphere says of it. It makes a snapshot to read from,
since a disk of a running VM cannot be opened without one, and deletes the
snapshot when this program ends, is killed, or has taken 30 minutes. The disk can
be relocated meanwhile, and the examination then fails. With --snapshot, that
snapshot is read and none is made.

Without a coordinator, --server and the flags below it give this information.
Neither queue nor repository is needed then, and no snapshot is made.

Interrupt it once, and it closes the disk and writes the report so far. The
report contains no password. Exit status: 0 every check passed, 1 a check failed,
2 wrong usage or configuration.`,
		Example: `  ivd-mover doctor --config /etc/ivd/ivd.yaml
  ivd-mover doctor --config /etc/ivd/ivd.yaml --disk 6f9e0c1d-… -o json > report.json
  ivd-mover doctor --config /etc/ivd/ivd.yaml --server vcenter.example.net \
    --user backup@vsphere.local --password-file /etc/ivd/vcenter.password \
    --thumbprint AA:BB:… --datastore datastore-52 --disk 6f9e0c1d-… --snapshot 1b2c…`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p.standalone = changed(c, standaloneFlags)
			return examine(c.Context(), f, &p, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	v := c.Flags()
	v.StringVar(&p.disk, "disk", "", "the IVD's UUID, the beginning of it, or its name, of two vCenters with VCENTER/ before it; empty: the library alone is tried")
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

// standaloneFlags are the flags that only an examination without a coordinator takes.
var standaloneFlags = []string{"server", "user", "password-file", "thumbprint", "datastore", "capacity", "port", "nfc-port"}

func changed(c *cobra.Command, names []string) (given []string) {
	for _, name := range names {
		if c.Flags().Changed(name) {
			given = append(given, name)
		}
	}
	return given
}

// check refuses a wrong combination of flags; its errors are of usage.
func (p *doctorFlags) check() error {
	if p.output != "text" && p.output != "json" {
		return wrongUsage(fmt.Errorf("--output %q: want text or json", p.output))
	}
	if p.disk == "" && (len(p.standalone) > 0 || p.snapshot != "") {
		return wrongUsage(fmt.Errorf("--%s needs --disk", append(p.standalone, "snapshot")[0]))
	}
	if len(p.standalone) == 0 {
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
		return wrongUsage(fmt.Errorf("--%s is for an examination without a coordinator; %s", p.standalone[0], areMissing(missing)))
	}
	return nil
}

// doctorConfig loads the configuration, of which a doctor and its child use the part
// about VDDK.
func (f *flags) doctorConfig() (*config.Config, error) {
	c, err := f.loadConfig()
	if err != nil {
		return nil, err
	}
	if err := c.ValidateVDDK(); err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

// examine finds out where the disk is and how to read it, has a child process
// examine it, and writes the report.
func examine(ctx context.Context, f *flags, p *doctorFlags, out, errs io.Writer) (err error) {
	if err := p.check(); err != nil {
		return err
	}
	c, err := f.doctorConfig()
	if err != nil {
		return err
	}
	stop := onInterrupts(ctx)
	defer stop.close()
	r := childRequest{Measure: int64(p.measure)}
	var x *examination
	switch {
	case p.disk == "":
	case len(p.standalone) > 0:
		r, err = p.request()
	default:
		if x, err = beginExamination(stop.once, c, p); err == nil {
			defer x.leave()
			r = x.request(int64(p.measure))
		}
	}
	if err != nil {
		return err
	}
	d := doctorRunner{config: c, flags: f, doctorFlags: p, errs: errs}
	report, err := d.examine(stop, r)
	if err != nil {
		return err
	}
	if x != nil {
		x.end(stop.twice, &report)
	}
	if err := p.write(out, &report); err != nil {
		return err
	}
	if !report.Good() {
		return errChecksFailed
	}
	return nil
}

// request is what the flags of an examination without a coordinator ask for.
func (p *doctorFlags) request() (childRequest, error) {
	password, err := os.ReadFile(p.passwordFile)
	if err != nil {
		return childRequest{}, usageError{fmt.Errorf("--password-file: %w", err)}
	}
	login := p.login
	login.Password = ivd.Secret(strings.TrimRight(string(password), "\r\n"))
	return childRequest{
		Disk:     job.IVD(ivd.NewDiskRef("", ivd.DatastoreID(p.datastore), ivd.DiskID(p.disk))),
		Snapshot: ivd.SnapshotID(p.snapshot), Login: expose(login), Capacity: int64(p.capacity), Measure: int64(p.measure),
	}, nil
}

func (p *doctorFlags) write(out io.Writer, r *doctor.Report) error {
	if p.output == "text" {
		return r.WriteText(out)
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
