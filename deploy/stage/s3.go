package stage

import (
	"context"
	"crypto/rand"
	"net"
	"os"
	"strings"
	"time"
)

// StartS3 starts a versitygw on loopback with keys of its own and an empty bucket
// "backups", and makes it the configuration's repository.
func (s *Stage) StartS3(ctx context.Context) (*Process, error) {
	address, err := FreePort()
	if err != nil {
		return nil, err
	}
	s.NewS3Key()
	for _, dir := range []string{s.Path("repository", "backups"), s.Path("sidecar")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	s.Config.Repository = "s3://backups"
	s.Config.Endpoint = "http://" + address
	return s.RestartS3(ctx)
}

const s3User = "stage"

// NewS3Key gives the S3 server another key, from its next start on.
func (s *Stage) NewS3Key() {
	s.s3Key = rand.Text()
	s.credentials = nil
	if !s.Config.KeyFiles {
		s.credentials = []string{"AWS_ACCESS_KEY_ID=" + s3User, "AWS_SECRET_ACCESS_KEY=" + s.s3Key}
	}
}

// WriteS3Key writes the S3 server's key to the file that the configuration names.
func (s *Stage) WriteS3Key() error { return s.writeKey(s.SecretKeyFile(), s.s3Key) }

func (s *Stage) writeKey(file, text string) error {
	return os.WriteFile(file, []byte(text+"\n"), 0o600)
}

func (s *Stage) accessKeyFile() string { return s.Path("etc", "s3.access") }

// S3Key is the S3 server's secret key.
func (s *Stage) S3Key() string { return s.s3Key }

// SecretKeyFile is where WriteS3Key writes.
func (s *Stage) SecretKeyFile() string { return s.Path("etc", "s3.secret") }

// RestartS3 starts the S3 server that StartS3 has started, and that has ended since,
// on the same buckets and with further options.
func (s *Stage) RestartS3(ctx context.Context, options ...string) (*Process, error) {
	program, err := s.versitygw()
	if err != nil {
		return nil, err
	}
	address := strings.TrimPrefix(s.Config.Endpoint, "http://")
	args := append([]string{"--port", address, "--quiet", "--access", s3User, "--secret", s.s3Key}, options...)
	p, err := s.start("versitygw", nil, program, append(args, "posix", "--sidecar", s.Path("sidecar"), s.Path("repository"))...)
	if err != nil {
		return nil, err
	}
	return p, p.Await(ctx, "the S3 server listens", time.Minute, func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}
