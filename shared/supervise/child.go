package supervise

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// child is one child process and the pipes that tie it to this one.
type child struct {
	cmd     *exec.Cmd
	tie     *os.File // the write end; nothing is ever written
	started time.Time

	beside  bool // it was started to relieve another
	retired bool // it was asked to end since it is alone
	killed  bool
	silent  int // our looks since it gave a sign of life, or was killed
	slots   int // disks that it holds, as it said last
}

// start starts a child. What it says, and its end, are events.
func (f *family) start(args []string) (*child, error) {
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	ear, mouth, err := os.Pipe()
	if err != nil {
		_ = ours.Close()
		return nil, err
	}
	defer mouth.Close()
	cmd := exec.Command(f.o.Path, args...)
	cmd.Env = f.o.Env
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env[:len(cmd.Env):len(cmd.Env)], fmt.Sprintf("%s=%d", lostVariable, f.lost()))
	cmd.Stdout, cmd.Stderr = f.o.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{theirs, mouth} // tieDescriptor and voiceDescriptor in the child
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: f.o.Orphaned,
		Setpgid:   true, // a terminal's interrupt reaches the child through us only, once
	}
	if err := cmd.Start(); err != nil {
		_, _ = ours.Close(), ear.Close()
		return nil, err
	}
	c := &child{cmd: cmd, tie: ours, started: time.Now()}
	f.o.Log.Info("child process started", "pid", c.pid())
	heard := make(chan struct{})
	go func() { defer close(heard); f.listenTo(c, ear) }()
	go func() {
		err := cmd.Wait()
		_ = ear.Close() // a process that the child has started may hold the other end
		<-heard
		f.send(event{c: c, ended: true, err: err})
	}()
	return c, nil
}

func (f *family) listenTo(c *child, ear *os.File) {
	for lines := bufio.NewScanner(ear); lines.Scan(); {
		f.send(event{c: c, said: lines.Text()})
	}
}

func (f *family) send(e event) {
	select {
	case f.events <- e:
	case <-f.over:
	}
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// signal asks the child for something. It may have ended meanwhile: its end is an event.
func (c *child) signal(s os.Signal) { _ = c.cmd.Process.Signal(s) }

// kill ends the child at once.
func (c *child) kill() {
	c.killed, c.silent = true, 0
	killProcess(c.cmd.Process)
}

// killProcess is what a test puts something else for: a process that hangs in the kernel
// cannot be had at will.
var killProcess = func(p *os.Process) { _ = p.Kill() }

// endedBySignal reports whether a process ended by a request to end.
func endedBySignal(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && (status.Signal() == syscall.SIGTERM || status.Signal() == syscall.SIGINT)
}

// exitStatus is a child's exit status; -1 where it has none.
func exitStatus(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -1
}
