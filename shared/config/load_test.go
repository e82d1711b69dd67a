package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
)

const example = `
# a comment
vcenters:
  - name: lab
    url: https://127.0.0.1:8989/sdk
    username: administrator@vsphere.local
    password_file: /etc/ivd/vcenter.password
    thumbprint: "ab:cd:ef:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:01"
    limits: { host_handles: 3, snapshot_age: 7d, free_space: 12.5% }
repository:
  url: s3://backups/estate-1
  endpoint: https://s3.example.net
  path_style: true
queue:
  url: nats://127.0.0.1:4222
policies:
  - name: nightly
    select: { datastores: [fast*], attached: any }
    schedule: "0 22 * * *"
    window: 8h
    timezone: Europe/Berlin
    keep: { last: 3, daily: 14, within: 7d }
mover:
  handles: 2
  memory: 512MiB
  vddk: { libdir: /opt/vddk, transports: [nbdssl, nbd] }
`

func TestExample(t *testing.T) {
	c, err := config.Parse("ivd.yaml", []byte(example))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.ValidateCoordinator(); err != nil {
		t.Error(err)
	}
	if err := c.ValidateMover(); err != nil {
		t.Error(err)
	}
	v := c.VCenters[0]
	for _, x := range []struct{ what, got, want any }{
		{"thumbprint", v.Thumbprint, config.Thumbprint("AB:CD:EF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:01")},
		{"host_handles", v.Limits.HostHandles, 3},
		{"a limit not given", v.Limits.DatastoreHandles, 8},
		{"snapshot_age", v.Limits.SnapshotAge.Std(), 168 * time.Hour},
		{"free_space", v.Limits.FreeSpace, config.Percent(12.5)},
		{"path_style", *c.Repository.PathStyle, true},
		{"datastores", c.Policies[0].Select.Datastores, []string{"fast*"}},
		{"names not given", c.Policies[0].Select.Names, []string{"*"}},
		{"cbt not given", c.Policies[0].CBT, "use"},
		{"keep.daily", c.Policies[0].Keep.Daily, 14},
		{"keep.within", c.Policies[0].Keep.Within.Std(), 168 * time.Hour},
		{"timezone", c.Policies[0].Timezone, "Europe/Berlin"},
		{"memory", c.Mover.Memory.Bytes(), int64(512 << 20)},
		{"dedup_memory not given", c.Mover.DedupMemory.Bytes(), int64(64 << 20)},
		{"dedup_trust not given", c.Repository.DedupTrust, "proven"},
		{"transports", c.Mover.VDDK.Transports, []string{"nbdssl", "nbd"}},
		{"state_dir not given", c.StateDir, "/var/lib/ivd"},
	} {
		if !reflect.DeepEqual(x.got, x.want) {
			t.Errorf("%s: %v, want %v", x.what, x.got, x.want)
		}
	}
}

func TestEmptyIsDefault(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "---\n", "mover:\n", "mover: ~\npolicies: null\n"} {
		c, err := config.Parse("f", []byte(text))
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if c.Mover.Handles != 4 || c.API.Listen != "127.0.0.1:8440" {
			t.Errorf("%q: %+v", text, c)
		}
	}
}

// TestRefusedFiles: every problem is one line with the file, its line and what is
// wrong.
func TestRefusedFiles(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"unknown key", "mover:\n  handels: 2\n", []string{"f:2: mover.handels: unknown key: did you mean handles?"}},
		{"unknown top key", "\nmovers: {}\n", []string{"f:2: movers: unknown key: did you mean mover?"}},
		{"nothing near", "xyzzyplugh: 1\n", []string{"f:1: xyzzyplugh: unknown key: the known keys are vcenters, repository,"}},
		{"case", "Mover: {}\n", []string{"f:1: Mover: unknown key: did you mean mover?"}},
		{"in a list", "vcenters:\n  - name: a\n  - nam: b\n", []string{"f:3: vcenters[1].nam: unknown key: did you mean name?"}},
		{"twice", "mover:\n  name: a\n  handles: 1\n  name: b\n", []string{"f:4: mover.name: given twice, first in line 2"}},
		{"text for a number", "mover: { handles: many }\n", []string{`f:1: mover.handles: "many": want a whole number`}},
		{"fraction", "mover: { handles: 1.5 }\n", []string{`f:1: mover.handles: "1.5": want a whole number`}},
		{"quoted number", "mover: { handles: \"2\" }\n", []string{`f:1: mover.handles: "2": want a whole number`}},
		{"no boolean", "repository: { path_style: maybe }\n", []string{`f:1: repository.path_style: "maybe": want true or false`}},
		{"list for a value", "state_dir: [a]\n", []string{"f:1: state_dir: want text, not a list"}},
		{"value for a list", "policies: nightly\n", []string{"f:1: policies: want a list, not a single value"}},
		{"value for a mapping", "mover: 3\n", []string{"f:1: mover: want keys and values, not a single value"}},
		{"mapping for a size", "mover: { memory: { a: b } }\n", []string{"f:1: mover.memory: want a value, not a mapping"}},
		{"size", "mover: { memory: 12 parsecs }\n", []string{`f:1: mover.memory: size "12 parsecs": want`}},
		{"duration", "policies: [ { window: soon } ]\n", []string{`f:1: policies[0].window: duration "soon": want`}},
		{"negative duration", "policies: [ { window: -3h } ]\n", []string{`duration "-3h"`}},
		{"percent", "vcenters: [ { limits: { free_space: 110% } } ]\n", []string{`f:1: vcenters[0].limits.free_space: percentage "110%"`}},
		{"percent without its sign", "vcenters: [ { limits: { free_space: 10 } } ]\n", []string{`percentage "10"`}},
		{"root", "repository: { root: abc }\n", []string{`f:1: repository.root: key id "abc": want 32`}},
		{"thumbprint", "vcenters:\n  - thumbprint: AA:BB\n", []string{`f:2: vcenters[0].thumbprint: thumbprint "AA:BB": want a certificate's SHA-1`}},
		{"merge key", "mover: &a { handles: 1 }\nqueue:\n  <<: *a\n", []string{"f:3: queue.<<: unknown key"}},
		{"not YAML", "mover: [\n", []string{"f: not YAML: "}},
		{"tabs", "mover:\n\thandles: 2\n", []string{"f: not YAML: "}},
		{"two documents", "mover: {}\n---\nmover: {}\n", []string{"f: more than one document"}},
		{"no mapping", "- a\n", []string{"want keys and values, not a list"}},
		{"several", "mover:\n  handels: 2\n  memory: x\nstate: y\n", []string{"f:2: mover.handels", "f:3: mover.memory", "f:4: state: unknown key"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := config.Parse("f", []byte(c.text))
			wantLines(t, err, ivd.Invalid, c.want)
		})
	}
}

func wantLines(t *testing.T, err error, kind ivd.Kind, want []string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %q", want)
	}
	if got := ivd.KindOf(err); got != kind {
		t.Errorf("kind %q, want %q", got, kind)
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d lines, want %d:\n%v", len(lines), len(want), err)
	}
	for i, line := range lines {
		if !strings.Contains(line, want[i]) {
			t.Errorf("line %q does not say %q", line, want[i])
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "ivd.yaml")
	_, err := config.Load(path)
	if ivd.KindOf(err) != ivd.Invalid || ivd.RemedyOf(err) == "" || !strings.Contains(err.Error(), path) {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := os.WriteFile(path, []byte("mover: { handels: 1 }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = config.Load(path)
	wantLines(t, err, ivd.Invalid, []string{path + ":1: mover.handels"})
	if err := os.WriteFile(path, make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = config.Load(path); ivd.KindOf(err) != ivd.Invalid || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a huge file: %v", err)
	}
	if _, err = config.Load(dir); ivd.KindOf(err) != ivd.Invalid {
		t.Errorf("a folder: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte(config.Reference()))
	f.Add([]byte("a: &a [*a]\nmover: *a\n"))
	f.Add([]byte("policies: &p\n  - select: { names: *p }\n"))
	f.Add([]byte("? [a]\n: b\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := config.Parse("f", data)
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if !strings.HasPrefix(line, "f") {
					t.Errorf("%q: a line without its file: %q", data, line)
				}
			}
			return
		}
		_ = c.ValidateCoordinator() // whatever it says, it does not panic
		_ = c.ValidateMover()
	})
}
