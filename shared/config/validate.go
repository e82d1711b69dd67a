package config

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"ivdmover/shared/ivd"
)

// ValidateCoordinator checks the parts that `ivd serve` uses. Every problem is one
// line of the joined error.
func (c *Config) ValidateCoordinator() error {
	v := &validator{where: c.where}
	v.vcenters(c.VCenters)
	v.repository(c.Repository)
	v.queue(c.Queue)
	v.collect(c.Collect)
	v.policies(c.Policies)
	v.api(c.API)
	v.need("state_dir", c.StateDir)
	v.absolute("state_dir", c.StateDir)
	return errors.Join(v.problems...)
}

// ValidateMover checks the parts that `ivd-mover` uses; it needs no vcenters.
func (c *Config) ValidateMover() error {
	v := &validator{where: c.where}
	v.repository(c.Repository)
	v.queue(c.Queue)
	v.reachable(c)
	v.mover(c.Mover)
	return errors.Join(v.problems...)
}

// ValidateQueue checks the parts that a client of the queue uses.
func (c *Config) ValidateQueue() error {
	v := &validator{where: c.where}
	v.queue(c.Queue)
	v.reachable(c)
	return errors.Join(v.problems...)
}

// ValidateVDDK checks the part that only movers use, which is all that a mover's host
// uses without taking jobs.
func (c *Config) ValidateVDDK() error {
	v := &validator{where: c.where}
	v.mover(c.Mover)
	return errors.Join(v.problems...)
}

// ValidateRepository checks the parts that commands on the repository use.
func (c *Config) ValidateRepository() error {
	v := &validator{where: c.where}
	v.repository(c.Repository)
	return errors.Join(v.problems...)
}

func (v *validator) reachable(c *Config) {
	if c.Queue.URL == "" {
		v.need("state_dir", c.StateDir)
		v.absolute("state_dir", c.StateDir)
	}
}

type validator struct {
	where    where
	problems []error
}

func (v *validator) add(path string, kind ivd.Kind, format string, args ...any) {
	v.problems = append(v.problems, v.where.problem(path, kind, format, args...))
}

func (v *validator) need(path, value string) {
	if value == "" {
		v.add(path, ivd.Invalid, "must be set")
	}
}

// absolute refuses a path that means another file wherever a program is started.
func (v *validator) absolute(path, value string) {
	if value != "" && !filepath.IsAbs(value) {
		v.add(path, ivd.Invalid, "%q: want a path from the root, such as /etc/ivd/%s", value, filepath.Base(value))
	}
}

func (v *validator) atLeast(path string, value, least int64) {
	if value < least {
		v.add(path, ivd.Invalid, "%d: want at least %d", value, least)
	}
}

// link checks a URL of a service.
func (v *validator) link(path, value string, schemes ...string) {
	u, err := url.Parse(value)
	switch {
	case err != nil || u.Hostname() == "" || !slices.Contains(schemes, u.Scheme):
		v.add(path, ivd.Invalid, "%q: want %s://HOST", value, strings.Join(schemes, ":// or "))
	case u.User != nil:
		v.add(path, ivd.Invalid, "credentials in the URL: use the keys beside it, which name files")
	}
}

// address checks HOST:PORT and reports whether it is on loopback.
func (v *validator) address(path, value string) (loopback bool) {
	host, port, err := net.SplitHostPort(value)
	if err != nil {
		v.add(path, ivd.Invalid, "%q: want ADDRESS:PORT, such as 127.0.0.1:8440", value)
		return true
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		v.add(path, ivd.Invalid, "%q: want a port from 0 to 65535", value)
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
