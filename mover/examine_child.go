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
	"ivdmover/vddk"
)

// doctorChild is the hidden command that loads the library for a doctor.
const doctorChild = "doctor-child"

// closing is how long a child may take to close the disk when it is interrupted.
const closing = 30 * time.Second

// order is what a child is told to examine, on its standard input: secrets are on no
// command line and in no environment.
type order struct {
	Disk     ivd.DiskRef    `json:"disk"` // empty: the library alone
	Snapshot ivd.SnapshotID `json:"snapshot"`
	Login    openLogin      `json:"login"`
	Capacity int64          `json:"capacity"`
	Measure  int64          `json:"measure"`
	Facts    *doctor.Facts  `json:"facts"`
	Release  bool           `json:"release"` // what a child that died has left attached
}

// openLogin is a login with its secrets, which a job.Login does not marshal.
type openLogin struct {
	job.Login
	Password string
	Cookie   string
}

func openly(l job.Login) openLogin {
	return openLogin{Login: l, Password: l.Password.Reveal(), Cookie: l.Cookie.Reveal()}
}

func (l openLogin) login() job.Login {
	l.Login.Password, l.Login.Cookie = ivd.Secret(l.Password), ivd.Secret(l.Cookie)
	return l.Login
}

// told is a line of what the child tells.
type told struct {
	Report   *doctor.Report `json:"report,omitempty"`
	Progress string         `json:"progress,omitempty"`
}

// house is where a child works.
type house struct {
	config  *config.Config
	flags   *flags
	patient *patient
	words   io.Writer // for people who wait
}

// examine has a child do it, which the library may take down, and returns what it
// told last.
func (h house) examine(asked *interrupted, o order) (doctor.Report, error) {
	report, died, err := h.child(asked.once, asked.twice, o)
	if err != nil {
		return report, err
	}
	if asked.once.Err() != nil {
		report.Checks = append(report.Checks, doctor.Check{Name: "going on to the end", Detail: "it was interrupted"})
	} else if died != nil {
		report.Checks = append(report.Checks, doctor.Check{
			Name: "the process that loads the library", Detail: died.Error(),
			Remedy: "send this report: the library took its process down",
		})
	}
	if died != nil && report.VM && o.Disk.ID() != "" && slices.Contains(h.config.Mover.VDDK.Transports, "hotadd") {
		report.Checks = append(report.Checks, h.release(asked.twice, o))
	}
	return report, nil
}

// release has another child release a disk that one that died may have left attached
// to this VM: its snapshot cannot be deleted before.
func (h house) release(ctx context.Context, o order) doctor.Check {
	o.Release = true
	report, died, err := h.child(ctx, ctx, o)
	for _, c := range report.Checks {
		if c.Name == doctor.Released {
			return c
		}
	}
	err = cmp.Or(err, died, errors.New("the library cannot be asked to"))
	return doctor.Check{Name: doctor.Released, Detail: err.Error(), Remedy: "detach the disk from this VM by hand"}
}

// child runs one child. When once ends it is asked to end, when twice does it is
// killed. died is how it ended, where that was not in order.
func (h house) child(once, twice context.Context, o order) (report doctor.Report, died, err error) {
	report = doctor.Report{Version: 1, Program: "ivd-mover " + version(), Library: doctor.Library{LibDir: h.config.Mover.VDDK.LibDir}}
	input, err := json.Marshal(o)
	if err != nil {
		return report, nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return report, nil, fmt.Errorf("find this program's file: %w", err)
	}
	cmd := exec.CommandContext(once, self, doctorChild, "--config", h.flags.config, "--name", h.config.Mover.Name)
	cmd.Env = append(os.Environ(), vddk.Environment(h.config.Mover.VDDK.LibDir)...)
	// A group of its own: an interrupt from the terminal is ours to pass on.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = closing
	cmd.Stdin = bytes.NewReader(input)
	var words bytes.Buffer
	cmd.Stderr = &words
	r, w := io.Pipe()
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		return report, nil, fmt.Errorf("start %s: %w", self, err)
	}
	defer context.AfterFunc(twice, func() { _ = cmd.Process.Kill() })()
	heard := make(chan struct{})
	go func() { defer close(heard); h.hear(r, &report) }()
	err = cmd.Wait()
	_ = w.Close() // nobody writes any more
	<-heard
	if err != nil && !cmd.ProcessState.Success() {
		died = fmt.Errorf("%w, after the step before; it said: %s", err, o.clean(tail(words.String())))
	}
	return report, died, nil
}

// hear keeps the last report of a child, and passes on what it is doing.
func (h house) hear(from io.Reader, report *doctor.Report) {
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadBytes('\n')
		var next told
		if json.Unmarshal(line, &next) == nil {
			if next.Report != nil {
				*report = *next.Report
			}
			if next.Progress != "" && h.patient.output == "text" {
				fmt.Fprintln(h.words, "ivd-mover: "+next.Progress)
			}
		}
		if err != nil {
			return
		}
	}
}

// examineHere is the child: a line of JSON after each step.
func examineHere(f *flags, in io.Reader, out io.Writer) error {
	c, err := configure(f)
	if err != nil {
		return err
	}
	var o order
	if err := json.NewDecoder(in).Decode(&o); err != nil {
		return errors.New("what to examine cannot be read") // the decoder's error could quote it
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	tell := func(t told) {
		if text, err := json.Marshal(t); err == nil {
			fmt.Fprintln(out, o.clean(string(text)))
		}
	}
	v, settings := c.Mover.VDDK, settingsOf(c)
	// Not the mover's: Cleanup is never to find what a mover at work has attached.
	settings.Folder += "-doctor"
	doctor.Run(ctx, doctor.Options{
		Program: "ivd-mover " + version(), LibDir: v.LibDir, Settings: settings, Transports: v.Transports,
		Machine: disk.ThisMachine(c.Mover.BIOSUUID, c.Mover.LUNs),
		Disk:    o.Disk, Snapshot: o.Snapshot, Login: o.Login.login(), Capacity: o.Capacity, Facts: o.Facts, Measure: o.Measure,
		Release:  o.Release,
		Tell:     func(r doctor.Report) { tell(told{Report: &r}) },
		Progress: func(s string) { tell(told{Progress: s}) },
	})
	return nil
}

// clean takes the secrets out, should the library ever say them.
func (o order) clean(s string) string {
	for _, secret := range []string{o.Login.Password, o.Login.Cookie} {
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
