package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"ivdmover/mover/disk"
	"ivdmover/mover/doctor"
	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/telemetry"
	"ivdmover/vddk"
)

// doctorChild is the hidden command that loads the library for a doctor.
const doctorChild = "doctor-child"

// closeGrace is how long a child that is asked to end may take to close the disk.
const closeGrace = 30 * time.Second

// childRequest is what a child is asked to examine. It is written to its standard
// input, since secrets belong on no command line and in no environment.
type childRequest struct {
	Disk     job.Disk       `json:"disk"` // empty: the library alone
	Snapshot ivd.SnapshotID `json:"snapshot"`
	Login    exposedLogin   `json:"login"`
	Capacity int64          `json:"capacity"`
	Measure  int64          `json:"measure"`
	Facts    *doctor.Facts  `json:"facts"`
	Release  bool           `json:"release"` // only detach what a child that died has left attached
}

// exposedLogin is a login that marshals with its secrets, as job.Login does not.
type exposedLogin struct {
	job.Login
	Password string
	Cookie   string
}

func expose(l job.Login) exposedLogin {
	return exposedLogin{Login: l, Password: l.Password.Reveal(), Cookie: l.Cookie.Reveal()}
}

func (l exposedLogin) login() job.Login {
	l.Login.Password, l.Login.Cookie = ivd.Secret(l.Password), ivd.Secret(l.Cookie)
	return l.Login
}

// childMessage is one line of a child's standard output.
type childMessage struct {
	Report   *doctor.Report `json:"report,omitempty"`
	Progress string         `json:"progress,omitempty"`
}

// doctorRunner runs the child processes of an examination.
type doctorRunner struct {
	config *config.Config
	flags  *flags
	*doctorFlags
	errs io.Writer // gets the progress
}

// examine has a child examine the disk, and returns its last report. The library may
// take the child down.
func (d doctorRunner) examine(stop *interruption, r childRequest) (doctor.Report, error) {
	report, died, err := d.child(stop.once, stop.twice, r)
	if err != nil {
		return report, err
	}
	if stop.once.Err() != nil {
		report.Checks = append(report.Checks, doctor.Check{Name: "examining to the end", Detail: "interrupted"})
	} else if died != nil {
		report.Checks = append(report.Checks, doctor.Check{
			Name: "the process that loads the library", Detail: died.Error(),
			Remedy: "send this report: the library took its process down",
		})
	}
	if died != nil && report.VM && r.Disk.Ref.ID() != "" && slices.Contains(d.config.Mover.VDDK.Transports, "hotadd") {
		report.Checks = append(report.Checks, d.release(stop.twice, r))
	}
	return report, nil
}

// release has another child detach a disk that a child which died may have left
// attached to this VM. The disk's snapshot cannot be deleted before.
func (d doctorRunner) release(ctx context.Context, r childRequest) doctor.Check {
	r.Release = true
	report, died, err := d.child(ctx, ctx, r)
	for _, c := range report.Checks {
		if c.Name == doctor.Released {
			return c
		}
	}
	err = cmp.Or(err, died, errors.New("the library has no function for it"))
	return doctor.Check{Name: doctor.Released, Detail: err.Error(), Remedy: "detach the disk from this VM by hand"}
}

// child runs one child process. It is asked to end when once ends, and killed when
// twice ends. died is why it ended early; nil when it ended in order.
func (d doctorRunner) child(once, twice context.Context, r childRequest) (report doctor.Report, died, err error) {
	report = doctor.Report{Version: 1, Program: "ivd-mover " + version(), Library: doctor.Library{LibDir: d.config.Mover.VDDK.LibDir}}
	input, err := json.Marshal(r)
	if err != nil {
		return report, nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return report, nil, fmt.Errorf("find this program's file: %w", err)
	}
	cmd := exec.CommandContext(once, self, doctorChild, "--config", d.flags.config, "--name", d.config.Mover.Name)
	cmd.Env = append(os.Environ(), vddk.Environment(d.config.Mover.VDDK.LibDir)...)
	// A group of its own: an interrupt from the terminal is ours to pass on.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = closeGrace
	cmd.Stdin = bytes.NewReader(input)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	output, w := io.Pipe()
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		return report, nil, fmt.Errorf("start %s: %w", self, err)
	}
	defer context.AfterFunc(twice, func() { _ = cmd.Process.Kill() })()
	done := make(chan struct{})
	go func() { defer close(done); d.readMessages(output, &report) }()
	err = cmd.Wait()
	_ = w.Close() // the child has ended: this ends readMessages
	<-done
	if err != nil && !cmd.ProcessState.Success() {
		died = fmt.Errorf("%w, after the check above; its last output: %s", err, r.redact(tail(errs.String())))
	}
	return report, died, nil
}

// readMessages keeps the last report of a child, and shows its progress.
func (d doctorRunner) readMessages(from io.Reader, report *doctor.Report) {
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadBytes('\n')
		var next childMessage
		if json.Unmarshal(line, &next) == nil {
			if next.Report != nil {
				*report = *next.Report
			}
			if next.Progress != "" && d.output == "text" {
				fmt.Fprintln(d.errs, "ivd-mover: "+telemetry.Safe(next.Progress))
			}
		}
		if err != nil {
			return
		}
	}
}

// examineHere is what the child does. It writes a childMessage after each step.
func examineHere(f *flags, in io.Reader, out io.Writer) error {
	c, err := f.doctorConfig()
	if err != nil {
		return err
	}
	var r childRequest
	if err := json.NewDecoder(in).Decode(&r); err != nil {
		return errors.New("the request on standard input cannot be read") // the decoder's error could quote a secret
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	send := func(m childMessage) {
		if text, err := json.Marshal(m); err == nil {
			fmt.Fprintln(out, r.redact(string(text)))
		}
	}
	v, settings := c.Mover.VDDK, settingsOf(c, "doctor")
	doctor.Run(ctx, doctor.Options{
		Program: "ivd-mover " + version(), LibDir: v.LibDir, Settings: settings, Transports: v.Transports,
		Machine: disk.ThisMachine(c.Mover.BIOSUUID, c.Mover.LUNs),
		Disk:    r.Disk, Snapshot: r.Snapshot, Login: r.Login.login(), Capacity: r.Capacity, Facts: r.Facts, Measure: r.Measure,
		Release:  r.Release,
		Tell:     func(r doctor.Report) { send(childMessage{Report: &r}) },
		Progress: func(s string) { send(childMessage{Progress: s}) },
	})
	return nil
}

// redact takes the secrets out of a text, in case the library writes them.
func (r childRequest) redact(s string) string {
	for _, secret := range []string{r.Login.Password, r.Login.Cookie} {
		if secret == "" {
			continue
		}
		if quoted, err := json.Marshal(secret); err == nil {
			s = strings.ReplaceAll(s, string(quoted[1:len(quoted)-1]), "***")
		}
		s = strings.ReplaceAll(s, secret, "***")
	}
	return s
}

func tail(s string) string {
	const most = 2000
	if len(s) > most {
		s = s[len(s)-most:]
	}
	return s
}
