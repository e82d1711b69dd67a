package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"github.com/spf13/cobra"

	"ivdmover/mover/disk"
	"ivdmover/mover/doctor"
	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
	"ivdmover/shared/queue"
	"ivdmover/vddk"
)

// doctorChild is the hidden command that loads the library for a doctor.
const doctorChild = "doctor-child"

// errFound is what a doctor ends with that found something: the report has told it.
var errFound = errors.New("see the checks that are BAD")

// patient is what a doctor's command line says.
type patient struct {
	disk, datastore, snapshot string
	capacity                  config.Size
	measure                   config.Size
	login                     queue.Login
	passwordFile              string
	output                    string
}

func doctorCommands(f *flags) []*cobra.Command {
	var p patient
	visible := &cobra.Command{
		Use:   "doctor --config FILE [--disk UUID --datastore MOREF --server HOST --user NAME --password-file FILE --thumbprint SHA1]",
		Short: "Try out this host's VDDK and write a report that can be sent",
		Long: `doctor loads VDDK in a process of its own and tells what it is, what it has and
what it does: versions, symbols, transports, signal handlers. With --disk it
opens that disk read-only by each transport that mover.vddk.transports names,
reads its first and last MiB, compares its size with --capacity, and measures
how fast each transport reads it. It needs neither queue nor repository, and
changes nothing.

The report has no password in it. Exit status: 0 all is good, 1 something is not,
2 wrong usage or configuration.`,
		Example: `  ivd-mover doctor --config /etc/ivd/ivd.yaml
  ivd-mover doctor --config /etc/ivd/ivd.yaml -o json > report.json
  ivd-mover doctor --config /etc/ivd/ivd.yaml --server vcenter.example.net \
    --user backup@vsphere.local --password-file /etc/ivd/vcenter.password \
    --thumbprint AA:BB:… --datastore datastore-52 --disk 6f9e0c1d-… --snapshot 1b2c…`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return examine(c.Context(), f, &p, c.OutOrStdout()) },
	}
	hidden := &cobra.Command{
		Use: doctorChild, Hidden: true, Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return examineHere(f, &p, c.OutOrStdout()) },
	}
	for _, c := range []*cobra.Command{visible, hidden} {
		v := c.Flags()
		v.StringVar(&p.disk, "disk", "", "the IVD's UUID; empty: the library alone is tried")
		v.StringVar(&p.datastore, "datastore", "", "its datastore's managed object id, such as datastore-52")
		v.StringVar(&p.snapshot, "snapshot", "", "a snapshot of it; empty: the disk itself, which nobody may be writing to")
		v.TextVar(&p.capacity, "capacity", config.Size(0), "its size as vSphere says it, such as 16GiB, to be compared")
		v.TextVar(&p.measure, "measure", config.Size(256<<20), "how much to read by each transport")
		v.StringVar(&p.login.Server, "server", "", "the vCenter's name or address")
		v.IntVar(&p.login.Port, "port", 443, "its HTTPS port")
		v.IntVar(&p.login.NFCPort, "nfc-port", 0, "the hosts' data port; 0: VDDK's own")
		v.StringVar(&p.login.User, "user", "", "whom to log in as")
		v.StringVar(&p.passwordFile, "password-file", "", "a file with the password and nothing else")
		v.StringVar(&p.login.Thumbprint, "thumbprint", "", "SHA-1 of the vCenter's certificate, AA:BB:…")
		v.StringVarP(&p.output, "output", "o", "text", "text or json")
	}
	return []*cobra.Command{visible, hidden}
}

// check reads what both processes need; errors are the user's.
func (p *patient) check(f *flags) (*config.Config, error) {
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
	if err := c.ValidateVDDK(); err != nil {
		return nil, usageError{err}
	}
	if p.output != "text" && p.output != "json" {
		return nil, wrongUsage(fmt.Errorf("--output %q: want text or json", p.output))
	}
	if p.disk == "" {
		return c, nil
	}
	for name, value := range map[string]string{
		"datastore": p.datastore, "server": p.login.Server, "user": p.login.User,
		"password-file": p.passwordFile, "thumbprint": p.login.Thumbprint,
	} {
		if value == "" {
			return nil, wrongUsage(fmt.Errorf("--disk needs --%s", name))
		}
	}
	password, err := os.ReadFile(p.passwordFile)
	if err != nil {
		return nil, usageError{fmt.Errorf("--password-file: %w", err)}
	}
	p.login.Password = ivd.Secret(bytes.TrimRight(password, "\r\n"))
	return c, nil
}

// examine has a child do it, which the library may take down, and writes what it
// told last.
func examine(ctx context.Context, f *flags, p *patient, out io.Writer) error {
	c, err := p.check(f)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program's file: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, append([]string{doctorChild}, p.again(f)...)...)
	cmd.Env = append(os.Environ(), vddk.Environment(c.Mover.VDDK.LibDir)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var words bytes.Buffer
	cmd.Stderr = &words
	told, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", self, err)
	}
	report := doctor.Report{Version: 1, Program: "ivd-mover " + version(), Library: doctor.Library{LibDir: c.Mover.VDDK.LibDir}}
	lines := bufio.NewScanner(told)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var next doctor.Report
		if json.Unmarshal(lines.Bytes(), &next) == nil {
			report = next
		}
	}
	if err := errors.Join(lines.Err(), cmd.Wait()); err != nil {
		report.Checks = append(report.Checks, doctor.Check{
			Name: "the process that loads the library", Detail: fmt.Sprintf("%v, after the step before; it said: %s", err, p.clean(tail(words.String()))),
			Remedy: "send this report: the library took its process down",
		})
	}
	if err := p.write(out, &report); err != nil {
		return err
	}
	if !report.Good() {
		return errFound
	}
	return nil
}

// again is the command line for the child. The password is not on it.
func (p *patient) again(f *flags) []string {
	return []string{
		"--config", f.config, "--name", f.name,
		"--disk", p.disk, "--datastore", p.datastore, "--snapshot", p.snapshot,
		"--capacity", p.capacity.String(), "--measure", p.measure.String(),
		"--server", p.login.Server, "--port", fmt.Sprint(p.login.Port), "--nfc-port", fmt.Sprint(p.login.NFCPort),
		"--user", p.login.User, "--password-file", p.passwordFile, "--thumbprint", p.login.Thumbprint,
	}
}

// examineHere is the child: a line of JSON after each step.
func examineHere(f *flags, p *patient, out io.Writer) error {
	c, err := p.check(f)
	if err != nil {
		return err
	}
	v, settings := c.Mover.VDDK, settingsOf(c)
	// Not the mover's: Cleanup is never to find what a mover at work has attached.
	settings.Folder += "-doctor"
	doctor.Run(context.Background(), doctor.Options{
		Program: "ivd-mover " + version(), LibDir: v.LibDir, Settings: settings, Transports: v.Transports,
		Machine:  disk.ThisMachine(c.Mover.BIOSUUID, c.Mover.LUNs),
		Disk:     ivd.DiskRef{Datastore: ivd.DatastoreID(p.datastore), Disk: ivd.DiskID(p.disk)},
		Snapshot: ivd.SnapshotID(p.snapshot), Login: p.login, Capacity: int64(p.capacity), Measure: int64(p.measure),
		Tell: func(r doctor.Report) {
			if text, err := json.Marshal(r); err == nil {
				fmt.Fprintln(out, p.clean(string(text)))
			}
		},
	})
	return nil
}

func (p *patient) write(out io.Writer, r *doctor.Report) error {
	if p.output == "text" {
		return r.WriteText(out)
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// clean takes the password out, should the library ever say it.
func (p *patient) clean(s string) string {
	secret := p.login.Password.Reveal()
	if secret == "" {
		return s
	}
	quoted, err := json.Marshal(secret)
	if err == nil {
		s = string(bytes.ReplaceAll([]byte(s), quoted[1:len(quoted)-1], []byte("***")))
	}
	return string(bytes.ReplaceAll([]byte(s), []byte(secret), []byte("***")))
}

func tail(s string) string {
	const most = 2000
	if len(s) > most {
		s = s[len(s)-most:]
	}
	return s
}
