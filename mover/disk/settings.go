package disk

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"ivdmover/shared/ivd"
)

// Settings say what VDDK's configuration file is made of.
type Settings struct {
	Folder string // for VDDK's temporary files and the configuration; the same at each start, or Cleanup finds nothing
	User   string // a file whose lines count before ours; empty: none
}

// setting is one line of VDDK's configuration.
type setting struct{ name, value string }

const (
	bufferSize  = "vixDiskLib.nfcAio.Session.BufSizeIn64KB"
	bufferCount = "vixDiskLib.nfcAio.Session.BufCount"
	temporary   = "tmpDirectory"
)

// recommended are VMware's values for NBD: 1 MiB in 4 buffers for each disk, and
// time limits in milliseconds.
var recommended = []setting{
	{bufferSize, "16"},
	{bufferCount, "4"},
	{"vixDiskLib.nfc.AcceptTimeoutMs", "180000"},
	{"vixDiskLib.nfc.RequestTimeoutMs", "180000"},
	{"vixDiskLib.nfc.ReadTimeoutMs", "60000"},
	{"vixDiskLib.nfc.WriteTimeoutMs", "600000"},
	{"vixDiskLib.nfcFssrvr.TimeoutMs", "0"},
	{"vixDiskLib.nfcFssrvrWrite.TimeoutMs", "0"},
}

// known are the keys that VDDK is known to have, beside the recommended ones: it
// ignores what it does not know without a word.
var known = []string{
	temporary, "vixDiskLib.transport.LogLevel", "vixDiskLib.nfc.LogLevel",
	"vixDiskLib.transport.san.denyList", "vixDiskLib.transport.san.allowList",
	"vixDiskLib.transport.san.blacklist", "vixDiskLib.transport.san.whitelist",
	"vixDiskLib.ssl.enableSslFIPS", "vixDiskLib.transport.hotadd.NoNfcSession",
	"vixDiskLib.disklib.EnableCache", "vixDiskLib.linuxSSL.verifyCertificates",
	"EnablePhoneHome", "vixDiskLib.phoneHome.EnablePhoneHome", "vixDiskLib.phoneHome.ProductName",
	"vixDiskLib.phoneHome.ProductVersion",
}

// maxSession is the most that VDDK accepts of size times count, in 64 KiB.
const maxSession = 256

// Write writes the file and says where it is. unknown are the user's keys that
// VDDK is not known to have.
func (s Settings) Write() (file string, unknown []string, err error) {
	user, err := readSettings(s.User)
	if err != nil {
		return "", nil, err
	}
	if err := checkSession(user); err != nil {
		return "", nil, &ivd.Error{
			Kind: ivd.Invalid, Op: "mover.vddk.config_file " + s.User, Err: err,
			Remedy: "set " + bufferSize + " to 16 and " + bufferCount + " to 4, or leave both out",
		}
	}
	if err := ownFolder(s.Folder); err != nil {
		return "", nil, err
	}
	all := append([]setting{{temporary, s.Folder}}, recommended...)
	all = slices.DeleteFunc(all, func(o setting) bool {
		return slices.ContainsFunc(user, func(u setting) bool { return strings.EqualFold(u.name, o.name) })
	})
	for _, u := range user {
		is := func(name string) bool { return name == u.name }
		if !slices.ContainsFunc(recommended, func(r setting) bool { return r.name == u.name }) && !slices.ContainsFunc(known, is) {
			unknown = append(unknown, u.name)
		}
	}
	var text bytes.Buffer
	for _, l := range append(all, user...) {
		fmt.Fprintf(&text, "%s=%s\n", l.name, l.value)
	}
	file = filepath.Join(s.Folder, "vddk.conf")
	if err := replace(file, text.Bytes()); err != nil {
		return "", nil, &ivd.Error{Kind: ivd.Invalid, Op: "write VDDK's configuration", Err: err, Remedy: "let mover.vddk.temp_dir be a folder that this user may write to"}
	}
	return file, unknown, nil
}

// readSettings reads a user's file: name=value lines, comments after #.
func readSettings(path string) ([]setting, error) {
	if path == "" {
		return nil, nil
	}
	fail := func(err error) error {
		return &ivd.Error{Kind: ivd.Invalid, Op: "mover.vddk.config_file", Err: err, Remedy: "name a file of lines NAME=VALUE that this user may read"}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fail(err)
	}
	var list []setting
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			return nil, fail(fmt.Errorf("%s, line %d: %q is not NAME=VALUE", path, n, line))
		}
		list = append(list, setting{strings.TrimSpace(name), strings.TrimSpace(value)})
	}
	if err := lines.Err(); err != nil {
		return nil, fail(fmt.Errorf("%s: %w", path, err))
	}
	return list, nil
}

// checkSession refuses what makes every Open fail with an error that says nothing.
func checkSession(user []setting) error {
	product := 1
	for _, name := range []string{bufferSize, bufferCount} {
		value := ""
		for _, s := range slices.Concat(recommended, user) {
			if s.name == name {
				value = s.value
			}
		}
		n, err := strconv.Atoi(strings.Trim(value, `"`))
		if err != nil || n < 1 || n > maxSession {
			return fmt.Errorf("%s=%s: want a number from 1 to %d", name, value, maxSession)
		}
		product *= n
	}
	if product > maxSession {
		return fmt.Errorf("%s times %s is %d KiB: VDDK takes at most 16 MiB", bufferSize, bufferCount, product*64)
	}
	return nil
}

// ownFolder makes the folder, and refuses one that others could put files into:
// it may lie where everybody may write.
func ownFolder(path string) error {
	fail := func(err error) error {
		return &ivd.Error{Kind: ivd.Invalid, Op: "VDDK's temporary folder", Err: err, Remedy: "set mover.vddk.temp_dir to a folder of this user's alone"}
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return fail(err)
	}
	st, err := os.Lstat(path)
	if err != nil {
		return fail(err)
	}
	owner, ok := st.Sys().(*syscall.Stat_t)
	if !st.IsDir() || !ok || int(owner.Uid) != os.Geteuid() || st.Mode().Perm()&0o022 != 0 {
		return fail(fmt.Errorf("%s belongs to others, or others may write to it", path))
	}
	return nil
}
