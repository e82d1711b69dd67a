package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a host without it reads the same configuration

	"ivdmover/shared/ivd"
)

// namePattern matches what is safe in subjects, keys, object names and shells.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

var uuidPattern = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

func (v *validator) name(path, value string) {
	if value == "" {
		v.need(path, value)
	} else if !namePattern.MatchString(value) {
		v.add(path, ivd.Invalid, "%q: want letters, digits, '.', '-' and '_' only, at most 63", value)
	}
}

func (v *validator) vcenters(vcenters []VCenter) {
	if len(vcenters) == 0 {
		v.add("vcenters", ivd.Invalid, "name at least one vCenter or ESXi host")
	}
	names := map[string]bool{}
	for i, vc := range vcenters {
		path := fmt.Sprintf("vcenters[%d].", i)
		v.name(path+"name", vc.Name)
		if names[vc.Name] && vc.Name != "" {
			v.add(path+"name", ivd.Invalid, "%q is another vCenter's name already", vc.Name)
		}
		names[vc.Name] = true
		if vc.URL == "" {
			v.need(path+"url", vc.URL)
		} else {
			v.link(path+"url", vc.URL, "https")
		}
		v.need(path+"username", vc.Username)
		v.need(path+"password_file", vc.PasswordFile)
		v.absolute(path+"password_file", vc.PasswordFile)
		if vc.NFCPort < 0 || vc.NFCPort > 65535 {
			v.add(path+"nfc_port", ivd.Invalid, "%d: want a port, or 0", vc.NFCPort)
		}
		v.atLeast(path+"limits.host_handles", int64(vc.Limits.HostHandles), 1)
		v.atLeast(path+"limits.datastore_handles", int64(vc.Limits.DatastoreHandles), 1)
		v.atLeast(path+"limits.tasks", int64(vc.Limits.Tasks), 1)
		if vc.Limits.SnapshotAge <= 0 {
			v.add(path+"limits.snapshot_age", ivd.Invalid, "want more than 0")
		}
	}
}

func (v *validator) repository(r Repository) {
	where, err := ParseLocation(r.URL)
	switch {
	case r.URL == "":
		v.add("repository.url", ivd.Invalid, "must be set: s3://BUCKET/PREFIX or dir:///FOLDER")
	case err != nil:
		v.add("repository.url", ivd.Invalid, "%w", err)
	}
	if r.Endpoint != "" {
		v.link("repository.endpoint", r.Endpoint, "https", "http")
	}
	if where.Scheme == "dir" && r.Endpoint != "" {
		v.add("repository.endpoint", ivd.Invalid, "set, but repository.url is a folder: remove one of the two")
	}
	if !slices.Contains(checksums, r.Checksum) {
		v.add("repository.checksum", ivd.Invalid, "%q%s", r.Checksum, oneOf(r.Checksum, checksums))
	}
	if !slices.Contains(dedupTrusts, r.DedupTrust) {
		v.add("repository.dedup_trust", ivd.Invalid, "%q%s", r.DedupTrust, oneOf(r.DedupTrust, dedupTrusts))
	}
	v.absolute("repository.ca_file", r.CAFile)
	v.absolute("repository.access_key_file", r.AccessKeyFile)
	v.absolute("repository.secret_key_file", r.SecretKeyFile)
	v.absolute("repository.credentials_file", r.CredentialsFile)
	if r.PathStyle != nil && !*r.PathStyle && numeric(r.Endpoint) {
		v.add("repository.path_style", ivd.Invalid, "false, and repository.endpoint is an address: no bucket's name can stand before it; leave path_style out, or name the host")
	}
	if (r.AccessKeyFile == "") != (r.SecretKeyFile == "") {
		v.add("repository.access_key_file", ivd.Invalid, "access_key_file and secret_key_file go together: set both or none")
	}
	if r.AccessKeyFile != "" && r.CredentialsFile != "" {
		v.add("repository.credentials_file", ivd.Invalid, "set beside access_key_file: remove one of the two")
	}
	v.storeLimits(r.Limits)
	for name, d := range map[string]Duration{"new_packs": r.Verify.NewPacks, "every": r.Verify.Every} {
		if d < Duration(24*time.Hour) {
			v.add("repository.verify."+name, ivd.Invalid, "%s: want a day or more", d)
		}
	}
	if _, err := r.Verify.Zone(); err != nil {
		v.noZone("repository.verify.timezone", r.Verify.Timezone)
	}
	v.lock(r.Lock, where)
	v.absolute("repository.backup_key_file", r.BackupKeyFile)
	v.absolute("repository.passphrase_file", r.PassphraseFile)
}

// LockCompliance is the mode of locks that nobody can end.
const LockCompliance = "compliance"

var lockModes = []string{"governance", LockCompliance}

func (v *validator) lock(l Lock, where Location) {
	if !slices.Contains(lockModes, l.Mode) {
		v.add("repository.lock.mode", ivd.Invalid, "%q%s", l.Mode, oneOf(l.Mode, lockModes))
	}
	if l.For != 0 && (l.For.Std() < 24*time.Hour || l.For.Std() > 100*365*24*time.Hour) {
		v.add("repository.lock.for", ivd.Invalid, "%s: want a day to a hundred years, or 0 for no locks", l.For)
	}
	if l.For != 0 && where.Scheme == "dir" {
		v.add("repository.lock.for", ivd.Invalid, "set, but repository.url is a folder, which locks nothing: use a bucket with object lock, or remove it")
	}
}

// Weekdays are the names of days, from Sunday on as time.Weekday counts them.
var Weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// minRate is the least limit of bytes a second, other than none: a pack takes some
// minutes then, behind which records wait.
const minRate = 64 << 10

func (v *validator) storeLimits(l StoreLimits) {
	const path = "repository.limits."
	v.rates(path, l.Upload, l.Download, l.Requests)
	if _, err := time.LoadLocation(l.Timezone); err != nil {
		v.add(path+"timezone", ivd.Invalid, "%q: want a name of the time zone database, such as Europe/Berlin", l.Timezone)
	}
	for i, h := range l.Hours {
		at := fmt.Sprintf("%shours[%d].", path, i)
		v.rates(at, h.Upload, h.Download, h.Requests)
		for k, day := range h.Days {
			if !slices.Contains(Weekdays, day) {
				v.add(fmt.Sprintf("%sdays[%d]", at, k), ivd.Invalid, "%q%s", day, oneOf(day, Weekdays))
			}
		}
	}
}

func (v *validator) rates(path string, upload, download Size, requests int) {
	v.rate(path+"upload", upload)
	v.rate(path+"download", download)
	v.atLeast(path+"requests", int64(requests), 0)
}

func (v *validator) rate(path string, rate Size) {
	if rate != 0 && rate < minRate {
		v.add(path, ivd.Invalid, "%s: want at least %s a second, or 0 for no limit", rate, Size(minRate))
	}
}

func (v *validator) noZone(path, name string) {
	v.add(path, ivd.Invalid, "%q: want a name of the time zone database, such as Europe/Berlin", name)
}

func (v *validator) collect(c Collect) {
	v.absolute("collect.credentials_file", c.CredentialsFile)
	if _, err := c.Zone(); err != nil {
		v.noZone("collect.timezone", c.Timezone)
	}
	if c.MaxShare <= 0 {
		v.add("collect.max_share", ivd.Invalid, "%s: want more than 0%%", c.MaxShare)
	}
	if c.MinAge < 0 {
		v.add("collect.min_age", ivd.Invalid, "%s: want 0 or more", c.MinAge)
	}
}

// numeric reports whether a URL's host is an address.
func numeric(link string) bool {
	u, err := url.Parse(link)
	if err != nil {
		return false
	}
	_, err = netip.ParseAddr(u.Hostname())
	return err == nil
}

// ChecksumMD5 is the checksum of repository.checksum that every service takes.
const ChecksumMD5 = "md5"

var checksums = []string{"crc32c", ChecksumMD5}

// The values of mover.check_uploads: which frames of a pack are opened before it is stored.
const (
	CheckSample = "sample"
	CheckAll    = "all"
	CheckNone   = "none"
)

var uploadChecks = []string{CheckSample, CheckAll, CheckNone}

// DedupWriters is the value of repository.dedup_trust with which packs are built on that
// nobody has proven.
const DedupWriters = "writers"

var dedupTrusts = []string{"proven", DedupWriters}

func (v *validator) queue(q Queue) {
	if q.URL != "" {
		for u := range strings.SplitSeq(q.URL, ",") {
			if path, ok := strings.CutPrefix(u, "unix://"); ok && filepath.IsAbs(path) {
				continue
			}
			v.link("queue.url", strings.TrimSpace(u), "nats", "tls", "ws", "wss")
		}
	}
	v.absolute("queue.creds_file", q.CredsFile)
	v.absolute("queue.ca_file", q.CAFile)
	v.absolute("queue.tls.cert_file", q.TLS.CertFile)
	v.absolute("queue.tls.key_file", q.TLS.KeyFile)
	if (q.TLS.CertFile == "") != (q.TLS.KeyFile == "") {
		v.add("queue.tls", ivd.Invalid, "cert_file and key_file go together: set both or none")
	}
	if q.Listen != "" && !v.address("queue.listen", q.Listen) && q.TLS.CertFile == "" {
		v.add("queue.listen", ivd.Invalid, "%q is not on loopback: set queue.tls, or listen on 127.0.0.1", q.Listen)
	}
	if q.AckWait.Std() < time.Second {
		v.add("queue.ack_wait", ivd.Invalid, "%s: want at least 1s", q.AckWait)
	}
}

// QueueSocket is where `ivd serve` lets movers of this machine, of the same user, into
// its embedded queue.
func (c *Config) QueueSocket() string { return filepath.Join(c.StateDir, "queue", "socket") }

// QueueURL is where a mover reaches the queue: at queue.url or, where that is empty, by
// the socket of this machine's `ivd serve`.
func (c *Config) QueueURL() string {
	if c.Queue.URL != "" {
		return c.Queue.URL
	}
	return c.QueueSocketURL()
}

// QueueSocketURL is how a mover reaches the queue of this machine's `ivd serve`.
func (c *Config) QueueSocketURL() string { return "unix://" + c.QueueSocket() }

// RootFile is where `ivd serve` says what the root key of its encrypted repository is, for
// movers of this machine that share its state folder.
func (c *Config) RootFile() string { return filepath.Join(c.StateDir, "repository.root") }

func (v *validator) policies(policies []Policy) {
	names := map[string]bool{}
	for i, p := range policies {
		path := fmt.Sprintf("policies[%d].", i)
		v.name(path+"name", p.Name)
		if names[p.Name] && p.Name != "" {
			v.add(path+"name", ivd.Invalid, "%q is another policy's name already", p.Name)
		}
		names[p.Name] = true
		v.keep(path+"keep", p.Keep)
		if _, err := p.Zone(); err != nil {
			v.add(path+"timezone", ivd.Invalid, "%q: want a name of the time zone database, such as Europe/Berlin", p.Timezone)
		}
	}
}

// keep refuses rules that say nothing but zeros: that may mean all or nothing.
func (v *validator) keep(path string, k Keep) {
	given := false
	for key, n := range map[string]int{"last": k.Last, "hourly": k.Hourly, "daily": k.Daily, "weekly": k.Weekly, "monthly": k.Monthly, "yearly": k.Yearly} {
		v.atLeast(path+"."+key, int64(n), 0)
		given = given || v.where.lines[path+"."+key] > 0
	}
	if (given || v.where.lines[path+".within"] > 0) && k == (Keep{}) {
		v.add(path, ivd.Invalid, "it keeps nothing: leave it out to keep every restore point, or count some")
	}
}

// Zone is the policy's time zone.
func (p Policy) Zone() (*time.Location, error) {
	return zone(p.Timezone)
}

func zone(name string) (*time.Location, error) {
	if name == "Local" { // is another one on each host
		return nil, fmt.Errorf("time zone %q", name)
	}
	return time.LoadLocation(name)
}

// The least memory that a mover's data path works with: for two packs under way and
// the pieces that are read ahead.
const (
	minMemory = 32 << 20
	minDedup  = 1 << 20
)

// transports are VDDK's transport modes.
var transports = []string{"san", "hotadd", "nbdssl", "nbd", "file"}

func (v *validator) mover(m Mover) {
	v.name("mover.name", m.Name)
	v.atLeast("mover.handles", int64(m.Handles), 1)
	if m.Memory < minMemory {
		v.add("mover.memory", ivd.Invalid, "%s: want at least %s", m.Memory, Size(minMemory))
	}
	if m.DedupMemory < minDedup {
		v.add("mover.dedup_memory", ivd.Invalid, "%s: want at least %s", m.DedupMemory, Size(minDedup))
	}
	if !slices.Contains(uploadChecks, m.CheckUploads) {
		v.add("mover.check_uploads", ivd.Invalid, "%q%s", m.CheckUploads, oneOf(m.CheckUploads, uploadChecks))
	}
	if m.BIOSUUID != "" && !uuidPattern.MatchString(m.BIOSUUID) {
		v.add("mover.bios_uuid", ivd.Invalid, "%q: want a UUID such as 4225a3c1-7f0e-4d53-9d0a-0a1b2c3d4e5f", m.BIOSUUID)
	}
	v.need("mover.vddk.libdir", m.VDDK.LibDir)
	v.absolute("mover.vddk.libdir", m.VDDK.LibDir)
	v.absolute("mover.vddk.config_file", m.VDDK.ConfigFile)
	v.absolute("mover.vddk.temp_dir", m.VDDK.TempDir)
	if len(m.VDDK.Transports) == 0 {
		v.add("mover.vddk.transports", ivd.Invalid, "want at least one of %s", strings.Join(transports, ", "))
	}
	for i, t := range m.VDDK.Transports {
		if !slices.Contains(transports, t) {
			v.add(fmt.Sprintf("mover.vddk.transports[%d]", i), ivd.Invalid, "%q%s", t, oneOf(t, transports))
		}
	}
}

func (v *validator) api(a API) {
	v.absolute("api.tls.cert_file", a.TLS.CertFile)
	v.absolute("api.tls.key_file", a.TLS.KeyFile)
	v.absolute("api.tokens_file", a.TokensFile)
	loopback := v.address("api.listen", a.Listen)
	if (a.TLS.CertFile == "") != (a.TLS.KeyFile == "") {
		v.add("api.tls", ivd.Invalid, "cert_file and key_file go together: set both or none")
	}
	if !loopback && (a.TLS.CertFile == "" || a.TokensFile == "") {
		v.add("api.listen", ivd.Invalid, "%q is not on loopback: set api.tls and api.tokens_file, or listen on 127.0.0.1", a.Listen)
	}
}
