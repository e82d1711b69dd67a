package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"ivdmover/deploy/lab/owner"
)

// Ready is the line that `ivd lab` prints.
type Ready struct {
	URL        string `json:"url"`
	Username   string `json:"username"`
	Password   string `json:"password"`
	Thumbprint string `json:"thumbprint"`
	VDDKLibDir string `json:"vddk_libdir"`
}

// StartLab starts `ivd lab` on the stage's lab folder and logs the owner in.
func (s *Stage) StartLab(ctx context.Context, args ...string) (*Process, error) {
	r, w := io.Pipe()
	p, err := s.start("lab", w, s.Program("ivd"), append([]string{"lab", "--dir", s.Path("lab")}, args...)...)
	if err != nil {
		return nil, err
	}
	go func() { <-p.ended; _ = w.Close() }()
	ready := make(chan Ready, 1)
	go func() {
		var l Ready
		if json.NewDecoder(r).Decode(&l) == nil {
			ready <- l
		}
		_, _ = io.Copy(io.Discard, r)
	}()
	err = p.Await(ctx, "the laboratory is ready", time.Minute, func() bool {
		select {
		case s.Lab = <-ready:
			return true
		default:
			return false
		}
	})
	if err != nil {
		return nil, err
	}
	s.Owner, err = owner.Connect(ctx, s.Lab.URL, s.Lab.Username, s.Lab.Password, s.Lab.Thumbprint)
	return p, err
}

// StartCoordinator starts `ivd serve` and waits until it answers. The repository is
// there already: see InitRepository.
func (s *Stage) StartCoordinator(ctx context.Context, args ...string) (*Process, error) {
	p, err := s.start("coordinator", nil, s.Program("ivd"), append([]string{"serve", "--config", s.ConfigFile()}, args...)...)
	if err != nil {
		return nil, err
	}
	s.server = "http://" + s.Config.API
	return p, p.Await(ctx, "the coordinator answers", time.Minute, func() bool {
		return s.Quietly(ctx, &[]struct{}{}, "runs") == nil
	})
}

// StartNATS starts a NATS server and does not wait for it.
func (s *Stage) StartNATS(program, conf string) (*Process, error) {
	return s.start("nats", nil, program, "-c", conf)
}

// StartMover starts an ivd-mover and does not wait for it.
func (s *Stage) StartMover(name string) (*Process, error) {
	return s.start(name, nil, s.Program("ivd-mover"), "--config", s.ConfigFile(), "--name", name)
}

// AwaitMovers waits until the coordinator knows n movers.
func (s *Stage) AwaitMovers(ctx context.Context, p *Process, n int) error {
	return p.Await(ctx, fmt.Sprintf("%d movers are there", n), time.Minute, func() bool {
		var movers []struct{}
		return s.Quietly(ctx, &movers, "movers") == nil && len(movers) == n
	})
}

// Socket is that of the coordinator's embedded queue.
func (s *Stage) Socket() string { return s.Path("state", "queue", "socket") }

// InitRepository is `ivd repo init`.
func (s *Stage) InitRepository(ctx context.Context) error {
	args := []string{"repo", "init", "--config", s.ConfigFile()}
	if s.Config.Plain {
		args = append(args, "--plain")
	}
	return s.Ask(ctx, nil, args...)
}

// Program is the file of one of the two programs.
func (s *Stage) Program(name string) string { return filepath.Join(s.bin, name) }

// environment is what commands need beside the configuration.
func (s *Stage) environment() []string {
	return append([]string{"IVD_SERVER=" + s.server, "IVD_TOKEN_FILE=" + s.Path("state", "api.token"), "TMPDIR=" + s.Path("tmp"), "IVD_LAB_PROXY=" + s.Config.BIOSUUID}, s.credentials...)
}

// FreePort is a loopback address that nobody listens on just now, and that this
// process has not been given before. Its port is below those that outgoing connections
// are given, so that a process that is started again finds it free.
func FreePort() (address string, err error) {
	for range 100 {
		address = fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000))
		if _, given := givenPorts.LoadOrStore(address, true); given {
			continue
		}
		var l net.Listener
		if l, err = net.Listen("tcp", address); err == nil {
			return address, l.Close()
		}
	}
	return "", err
}

var givenPorts sync.Map // of addresses

// versitygw is the S3 server's program: named by IVD_TOOLS, among the project's
// tools, or on the PATH.
func (s *Stage) versitygw() (string, error) {
	places := append([]string{os.Getenv("IVD_TOOLS"), filepath.Join(s.bin, "..", ".tools", "bin")}, filepath.SplitList(os.Getenv("PATH"))...)
	for _, dir := range places {
		if p := filepath.Join(dir, "versitygw"); dir != "" && isFile(p) {
			return p, nil
		}
	}
	return "", fmt.Errorf("versitygw is not on this machine: `make tools` installs it")
}
