package disk

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ivdmover/shared/ivd"
)

func TestSettingsAreTheUsersAndOurs(t *testing.T) {
	dir := t.TempDir()
	user := filepath.Join(dir, "user.conf")
	text := "# mine\n\nvixDiskLib.nfcAio.Session.BufCount = 8\nvixDiskLib.nfcAio.Session.BufSizeIn64K=16\nvixDiskLib.transport.LogLevel=4\n"
	if err := os.WriteFile(user, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "a", "vddk")
	for range 2 { // again, over what is there
		file, unknown, err := Settings{Folder: folder, User: user}.Write()
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(unknown, []string{"vixDiskLib.nfcAio.Session.BufSizeIn64K"}) {
			t.Errorf("unknown %v", unknown)
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(got)), "\n")
		for _, want := range []string{"tmpDirectory=" + folder, bufferSize + "=16", bufferCount + "=8", "vixDiskLib.nfc.AcceptTimeoutMs=180000"} {
			if !slices.Contains(lines, want) {
				t.Errorf("no line %s in %s", want, got)
			}
		}
		if strings.Count(string(got), bufferCount) != 1 {
			t.Errorf("twice in %s", got)
		}
	}
}

// What VDDK is not known to have comes from a user's file alone: VMware's library gets
// nothing that is meant for another one.
func TestSettingsAreVDDKsOwn(t *testing.T) {
	file, _, err := Settings{Folder: filepath.Join(t.TempDir(), "vddk")}.Write()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		name, _, _ := strings.Cut(line, "=")
		ours := slices.ContainsFunc(recommended, func(s setting) bool { return s.name == name })
		if !ours && !slices.Contains(known, name) {
			t.Errorf("%s is none of VDDK's keys", strings.TrimSpace(line))
		}
	}
}

func TestBadSettingsAreSaid(t *testing.T) {
	dir := t.TempDir()
	for text, says := range map[string]string{
		"nothing":           `line 1: "nothing"`,
		bufferSize + "=256": "16 MiB",
		bufferSize + "=x":   "want a number",
		bufferCount + "=0":  "want a number",
	} {
		user := filepath.Join(dir, "user.conf")
		if err := os.WriteFile(user, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := Settings{Folder: filepath.Join(dir, "vddk"), User: user}.Write()
		if ivd.KindOf(err) != ivd.Invalid || !strings.Contains(err.Error(), says) || ivd.RemedyOf(err) == "" {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, _, err := (Settings{Folder: filepath.Join(dir, "vddk"), User: filepath.Join(dir, "none")}).Write(); ivd.KindOf(err) != ivd.Invalid || ivd.RemedyOf(err) == "" {
		t.Errorf("a file that is not there: %v", err)
	}
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{open, link} {
		if _, _, err := (Settings{Folder: folder}).Write(); ivd.KindOf(err) != ivd.Invalid || ivd.RemedyOf(err) == "" {
			t.Errorf("%s: %v", folder, err)
		}
	}
}

func TestTheMachineIsWhatItsFirmwareSays(t *testing.T) {
	root := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if m := machineAt(root, "", nil); m.VM || m.BIOSUUID != "" || len(m.LUNs) != 0 {
		t.Errorf("nothing is known: %+v", m)
	}
	put("class/dmi/id/sys_vendor", "VMware, Inc.")
	put("class/dmi/id/product_uuid", "C1A32542-0E7F-534D-9D0A-0A1B2C3D4E5F")
	if m := machineAt(root, "", nil); !m.VM || m.BIOSUUID != "c1a32542-0e7f-534d-9d0a-0a1b2c3d4e5f" {
		t.Errorf("%+v", m)
	}
	put("class/dmi/id/product_serial", "VMware-42 25 a3 c1 7f 0e 4d 53-9d 0a 0a 1b 2c 3d 4e 5f")
	put("block/sda/device/wwid", "naa.600000000001")
	put("block/sdb/device/wwid", "naa.600000000001") // another path to it
	m := machineAt(root, "", nil)
	if m.BIOSUUID != "4225a3c1-7f0e-4d53-9d0a-0a1b2c3d4e5f" || !slices.Equal(m.LUNs, []string{"naa.600000000001"}) {
		t.Errorf("%+v", m)
	}
	if m := machineAt(root, "ABC", []string{"naa.2"}); m.BIOSUUID != "abc" || !slices.Equal(m.LUNs, []string{"naa.2"}) {
		t.Errorf("what is given counts: %+v", m)
	}
}
