package stage

import (
	"context"
	"crypto/rand"
	"encoding/hex"
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
	key := make([]byte, 16)
	_, _ = rand.Read(key)
	s.credentials = []string{
		"AWS_ACCESS_KEY_ID=stage", "AWS_SECRET_ACCESS_KEY=" + hex.EncodeToString(key),
		"ROOT_ACCESS_KEY=stage", "ROOT_SECRET_KEY=" + hex.EncodeToString(key),
	}
	for _, dir := range []string{s.Path("repository", "backups"), s.Path("sidecar")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	s.Config.Repository = "s3://backups"
	s.Config.Endpoint = "http://" + address
	return s.RestartS3(ctx)
}

// RestartS3 starts the S3 server that StartS3 has started, and that has ended since,
// on the same buckets and with further options.
func (s *Stage) RestartS3(ctx context.Context, options ...string) (*Process, error) {
	program, err := s.versitygw()
	if err != nil {
		return nil, err
	}
	address := strings.TrimPrefix(s.Config.Endpoint, "http://")
	args := append([]string{"--port", address, "--quiet"}, options...)
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
