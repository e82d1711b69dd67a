package config_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
)

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("f", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// with is the example with one line changed.
func with(old, changed string) string { return strings.Replace(example, old, changed, 1) }

func TestCoordinatorRefuses(t *testing.T) {
	for _, c := range []struct {
		name, text string
		kind       ivd.Kind
		want       []string
	}{
		{"nothing", "", ivd.Invalid, []string{"f: vcenters: name at least one", "f: repository.url: must be set"}},
		{"no name", with("name: lab", "name: ''"), ivd.Invalid, []string{"f:4: vcenters[0].name: must be set"}},
		{"bad name", with("name: lab", "name: a b"), ivd.Invalid, []string{`f:4: vcenters[0].name: "a b": want letters`}},
		{"plain http", with("url: https://127", "url: http://127"), ivd.Invalid, []string{"f:5: vcenters[0].url: \"http://127.0.0.1:8989/sdk\": want https://HOST"}},
		{"credentials in a URL", with("https://127", "https://u:p@127"), ivd.Invalid, []string{"f:5: vcenters[0].url: credentials in the URL"}},
		{"no user", with("    username: administrator@vsphere.local\n", ""), ivd.Invalid, []string{"f: vcenters[0].username: must be set"}},
		{"no handles", with("host_handles: 3", "host_handles: 0"), ivd.Invalid, []string{"vcenters[0].limits.host_handles: 0: want at least 1"}},
		{"no repository kind", with("s3://", "ftp://"), ivd.Invalid, []string{`f:11: repository.url: "ftp://backups/estate-1": unknown kind of store`}},
		{"no endpoint", with("endpoint: https://", "endpoint: "), ivd.Invalid, []string{"f:12: repository.endpoint"}},
		{"folder and endpoint", with("s3://", "dir:///"), ivd.Invalid, []string{"repository.endpoint: set, but"}},
		{"half a key pair", with("  path_style: true", "  secret_key_file: /x"), ivd.Invalid, []string{"go together"}},
		{"limits", with("  path_style: true", "  limits: { upload: 1KiB, requests: -1, timezone: Mars, hours: [{ days: [mo], from: '8:00', to: '18:00', download: 3 }] }"), ivd.Invalid, []string{
			"f:13: repository.limits.upload: 1KiB: want at least 64KiB a second, or 0 for no limit", "f:13: repository.limits.requests: -1: want at least 0",
			`f:13: repository.limits.timezone: "Mars": want a name of the time zone database`,
			"repository.limits.hours[0].download: 3: want at least 64KiB", `repository.limits.hours[0].days[0]: "mo": did you mean mon?`,
		}},
		{"a relative export", with("  path_style: true", "  backup_key_file: x"), ivd.Invalid, []string{`f:13: repository.backup_key_file: "x": want a path from the root`}},
		{"a relative passphrase", with("  path_style: true", "  passphrase_file: x"), ivd.Invalid, []string{`f:13: repository.passphrase_file: "x": want a path from the root`}},
		{"queue URL", with("nats://", "http://"), ivd.Invalid, []string{`f:15: queue.url: "http://127.0.0.1:4222": want nats://`}},
		{"queue off loopback", with("url: nats://127.0.0.1:4222", "listen: 0.0.0.0:4222"), ivd.Invalid, []string{"f:15: queue.listen"}},
		{"half a certificate of the queue", with("url: nats://127.0.0.1:4222", "tls: { cert_file: /x }"), ivd.Invalid, []string{"queue.tls: cert_file and key_file go together"}},
		{"keep of zeros", with("last: 3, daily: 14, within: 7d", "last: 0, hourly: 0"), ivd.Invalid, []string{"f:22: policies[0].keep: it keeps nothing: leave it out"}},
		{"keep within zero", with("last: 3, daily: 14, within: 7d", "within: 0s"), ivd.Invalid, []string{"policies[0].keep: it keeps nothing"}},
		{"negative hourly", with("last: 3", "hourly: -3"), ivd.Invalid, []string{"policies[0].keep.hourly: -3"}},
		{"no time zone", with("Europe/Berlin", "Berlin"), ivd.Invalid, []string{`f:21: policies[0].timezone: "Berlin": want a name of the time zone database`}},
		{"the host's time zone", with("Europe/Berlin", "Local"), ivd.Invalid, []string{`policies[0].timezone: "Local"`}},
		{"negative keep", with("last: 3", "last: -3"), ivd.Invalid, []string{"policies[0].keep.last: -3"}},
		{"API off loopback", example + "api: { listen: ':8440' }\n", ivd.Invalid, []string{`api.listen: ":8440" is not on loopback`}},
		{"API address", example + "api: { listen: here }\n", ivd.Invalid, []string{`api.listen: "here": want ADDRESS:PORT`}},
		{"half a certificate", example + "api: { tls: { cert_file: /x } }\n", ivd.Invalid, []string{"api.tls: cert_file and key_file go together"}},
		{"a relative state", example + "state_dir: state\n", ivd.Invalid, []string{`state_dir: "state": want a path from the root`}},
		{"a relative secret", with("/etc/ivd/vcenter.password", "vcenter.password"), ivd.Invalid, []string{`vcenters[0].password_file: "vcenter.password": want a path from the root`}},
		{"a bucket's name before an address", strings.Replace(with("path_style: true", "path_style: false"), "https://s3.example.net", "https://192.0.2.7:9000", 1), ivd.Invalid, []string{"repository.path_style: false, and repository.endpoint is an address"}},
		{"no state", example + "state_dir: ''\n", ivd.Invalid, []string{"state_dir: must be set"}},
	} {
		t.Run(c.name, func(t *testing.T) { wantLines(t, parse(t, c.text).ValidateCoordinator(), c.kind, c.want) })
	}
	twice := with("repository:", "  - {name: lab, url: 'https://b/', username: u, password_file: /p}\nrepository:")
	wantLines(t, parse(t, twice).ValidateCoordinator(), ivd.Invalid, []string{`vcenters[1].name: "lab" is another vCenter's name`})
}

func TestMoverRefuses(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", "", []string{"repository.url: must be set"}},
		{"no way to the queue", with("nats://127.0.0.1:4222", "''") + "state_dir: ''\n", []string{"state_dir: must be set"}},
		{"a socket somewhere", with("nats://127.0.0.1:4222", "unix://socket"), []string{`queue.url: "unix://socket": want nats://`}},
		{"no handles", with("handles: 2", "handles: 0"), []string{"mover.handles: 0: want at least 1"}},
		{"little memory", with("512MiB", "1MiB"), []string{"mover.memory: 1MiB: want at least 32MiB"}},
		{"transport", with("nbdssl,", "ndbssl,"), []string{`mover.vddk.transports[0]: "ndbssl": did you mean nbdssl?`}},
		{"checksum", with("repository:", "repository:\n  checksum: sha1"), []string{`repository.checksum: "sha1": want one of crc32c, md5`}},
		{"trust in packs", with("repository:", "repository:\n  dedup_trust: writer"), []string{`repository.dedup_trust: "writer": did you mean writers?`}},
		{"no transport", with("[nbdssl, nbd]", "[]"), []string{"mover.vddk.transports: want at least one of"}},
		{"no library", with("/opt/vddk", "''"), []string{"mover.vddk.libdir: must be set"}},
	} {
		t.Run(c.name, func(t *testing.T) { wantLines(t, parse(t, c.text).ValidateMover(), ivd.Invalid, c.want) })
	}
	noVCenters := example[strings.Index(example, "repository:"):]
	if err := parse(t, noVCenters).ValidateMover(); err != nil {
		t.Errorf("a mover needs no vcenters: %v", err)
	}
	if err := parse(t, with("nats://127.0.0.1:4222", "unix:///run/ivd/socket")).ValidateMover(); err != nil {
		t.Errorf("a queue may be at a socket: %v", err)
	}
	if err := parse(t, noVCenters).ValidateRepository(); err != nil {
		t.Errorf("nor does a command on the repository: %v", err)
	}
}

// Without queue.url a mover goes to the socket below the state folder.
func TestQueueURL(t *testing.T) {
	for text, want := range map[string]string{
		"state_dir: /s\n": "unix:///s/queue/socket",
		"state_dir: /s\nqueue: { listen: '127.0.0.1:4222' }\n": "unix:///s/queue/socket",
		"queue: { url: 'nats://q:4222' }\n":                    "nats://q:4222",
	} {
		if url := parse(t, text).QueueURL(); url != want {
			t.Errorf("%q: %s, want %s", text, url, want)
		}
	}
}

func TestReadSecret(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name, text, want string
		mode             os.FileMode
		warns            bool
	}{
		{"plain", "hunter2", "hunter2", 0o600, false},
		{"line", "hunter2\n", "hunter2", 0o640, false},
		{"windows line", "hunter2\r\n", "hunter2", 0o600, false},
		{"a byte order mark", "\ufeffhunter2\r\n", "hunter2", 0o600, false},
		{"spaces are part of it", " a b ", " a b ", 0o600, false},
		{"everybody's", "hunter2", "hunter2", 0o644, true},
	} {
		path := filepath.Join(dir, c.name)
		if err := os.WriteFile(path, []byte(c.text), c.mode); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		got, err := config.ReadSecret(path, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil || got.Reveal() != c.want {
			t.Errorf("%s: %q, %v", c.name, got.Reveal(), err)
		}
		if warned := strings.Contains(log.String(), "chmod 600"); warned != c.warns || strings.Contains(log.String(), "hunter2") {
			t.Errorf("%s: log %q", c.name, log.String())
		}
	}
	for name, text := range map[string]string{"empty": "", "only a line break": "\n", "two lines": "a\nb\n", "UTF-16": "\xff\xfea\x00", "only a byte order mark": "\ufeff", "huge": strings.Repeat("x", 70_000)} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := config.ReadSecret(path, slog.Default()); ivd.KindOf(err) != ivd.Invalid || ivd.RemedyOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, path := range []string{filepath.Join(dir, "absent"), dir, ""} {
		if _, err := config.ReadSecret(path, slog.Default()); ivd.KindOf(err) != ivd.Invalid {
			t.Errorf("%q: %v", path, err)
		}
	}
}

// A policy that says nothing of what it keeps, or of what it keeps nothing, keeps everything.
func TestKeepMayBeLeftOut(t *testing.T) {
	for _, keep := range []string{"    keep: {}\n", "    keep:\n", ""} {
		c := parse(t, with("    keep: { last: 3, daily: 14, within: 7d }\n", keep))
		if err := c.ValidateCoordinator(); err != nil || c.Policies[0].Keep != (config.Keep{}) {
			t.Errorf("%q: %+v, %v", keep, c.Policies[0].Keep, err)
		}
	}
}
