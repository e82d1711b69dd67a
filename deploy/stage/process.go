package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Process is a program that the stage has started.
type Process struct {
	Name  string
	stage *Stage
	cmd   *exec.Cmd
	log   string
	ended chan struct{} // closed once err is set
	err   error         // of Wait
}

// start starts a program that logs into the stage's folder and ends when this
// process does.
func (s *Stage) start(name string, stdout io.Writer, program string, args ...string) (*Process, error) {
	log := s.Path("logs", name+".log")
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = s.Dir
	cmd.Stdout, cmd.Stderr = out, out
	if stdout != nil {
		cmd.Stdout = stdout
	}
	cmd.Env = append(os.Environ(), s.environment()...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	p := &Process{Name: name, stage: s, cmd: cmd, log: log, ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The signal at the parent's death is tied to the thread that starts the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.ended)
		}
		_ = out.Close()
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	s.processes = append(s.processes, p)
	return p, nil
}

// Stop ends the process gently; one that does not end is killed, which is an error.
func (p *Process) Stop() error {
	p.forget()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
		return nil
	case <-time.After(30 * time.Second):
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.ended
	return fmt.Errorf("%s did not end on SIGTERM; it says:\n%s", p.Name, p.LastLines())
}

// Kill ends the process as a crash does.
func (p *Process) Kill() {
	p.forget()
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// Wait waits for the process to end by itself.
func (p *Process) Wait() error {
	<-p.ended
	p.forget()
	return p.err
}

// how says how the process ended.
func (p *Process) how() error {
	if p.err == nil {
		return errors.New("exit status 0")
	}
	return p.err
}

// PID is the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

func (p *Process) forget() {
	p.stage.processes = slices.DeleteFunc(p.stage.processes, func(o *Process) bool { return o == p })
}

// LastLines is the end of the process's log, for an error's sake.
func (p *Process) LastLines() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-12):], "\n")
}

// Await polls until something is so, the process has died, or the time is up. It
// polls less often the longer it waits, since most questions are processes.
func (p *Process) Await(ctx context.Context, what string, limit time.Duration, so func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	interval := 30 * time.Millisecond
	for ; !so(); interval = min(interval*5/4, 250*time.Millisecond) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: not within %s; %s says:\n%s", what, limit, p.Name, p.LastLines())
		case <-p.ended:
			return fmt.Errorf("%s: %s ended by itself: %w; it says:\n%s", what, p.Name, p.how(), p.LastLines())
		case <-time.After(interval):
		}
	}
	return nil
}
