package e2e

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ivdmover/deploy/stage"
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/dir"
)

const passphrase = "nobody but the coordinator has read this line"

// encrypted makes the stage's repository, starts its coordinator with the passphrase, and
// movers that have a configuration of their own: the root key, and no secret.
func encrypted(t *testing.T, s *stage.Stage, movers ...string) (coordinator *stage.Process, started []*stage.Process) {
	t.Helper()
	must(t, s.WriteConfig())
	must(t, os.WriteFile(passphraseFile(s), []byte(passphrase+"\n"), 0o600))
	configure(t, s, "passphrase_file: "+passphraseFile(s))
	must(t, s.Ask(t.Context(), nil, "repo", "init", "--config", s.ConfigFile()))
	coordinator, err := s.StartCoordinator(t.Context())
	must(t, err)
	configure(t, s, "root: "+stored(t, s).Root.String())
	for _, name := range movers {
		m, err := s.StartMover(name)
		must(t, err)
		started = append(started, m)
	}
	must(t, s.AwaitMovers(t.Context(), coordinator, len(movers)))
	return coordinator, started
}

func passphraseFile(s *stage.Stage) string { return s.Path("etc", "repository.passphrase") }

// configure gives the programs that are started from now on another line of the
// repository's: whoever reads the file just now reads all of it.
func configure(t *testing.T, s *stage.Stage, line string) {
	t.Helper()
	text, err := os.ReadFile(s.ConfigFile())
	must(t, err)
	lines := slices.DeleteFunc(strings.SplitAfter(string(text), "\n"), func(l string) bool {
		return strings.HasPrefix(l, "  passphrase_file:") || strings.HasPrefix(l, "  root:")
	})
	i := slices.Index(lines, "repository:\n")
	next := s.ConfigFile() + ".new"
	must(t, os.WriteFile(next, []byte(strings.Join(slices.Insert(lines, i+1, "  "+line+"\n"), "")), 0o600))
	must(t, os.Rename(next, s.ConfigFile()))
}

// repositoryFolder is the folder in which the objects of the stage's repository lie.
func repositoryFolder(s *stage.Stage) string {
	if folder, is := strings.CutPrefix(s.Config.Repository, "dir://"); is {
		return folder
	}
	return s.Path("repository", "backups") // the S3 server's
}

// stored is what the stage's repository says of itself.
func stored(t *testing.T, s *stage.Stage) repo.Info {
	t.Helper()
	st, err := dir.Open(repositoryFolder(s))
	must(t, err)
	info, err := repo.ReadInfo(t.Context(), st)
	must(t, err)
	return info
}

// secrets are those of the stage's repository that no mover may hold, and the two keys that
// movers have.
func secrets(t *testing.T, s *stage.Stage) (forbidden, granted map[string][]byte) {
	t.Helper()
	info := stored(t, s)
	folder := repositoryFolder(s)
	at := func(name string) ([]byte, format.At) {
		b, err := os.ReadFile(filepath.Join(folder, name))
		must(t, err)
		return b, format.At{Repository: info.ID, Domain: info.Domain, Object: name}
	}
	slots, err := filepath.Glob(filepath.Join(folder, "keys", "slot-*"))
	must(t, err)
	b, where := at("keys/" + filepath.Base(slots[0]))
	opened, err := format.OpenSlot(b, where, []byte(passphrase))
	must(t, err)
	b, where = at("keys/ring")
	ring, err := format.ReadRing(b, where)
	must(t, err)
	text, err := format.OpenSecrets(opened.Master, ring)
	must(t, err)
	var held struct {
		Signers []struct {
			Seed format.Binary `json:"seed"`
		} `json:"signers"`
		Domains []struct {
			Content  format.Binary `json:"content"`
			Metadata format.Binary `json:"metadata"`
			Record   format.Binary `json:"record"`
			Data     []struct {
				Private format.Binary `json:"private"`
			} `json:"data"`
		} `json:"domains"`
	}
	must(t, json.Unmarshal(text, &held))
	d := held.Domains[0]
	forbidden = map[string][]byte{
		"the passphrase": []byte(passphrase), "the master key": opened.Master.Reveal(), "the root key": opened.Root.Reveal(),
		"the record key": d.Record, "the data key": d.Data[0].Private, "a signing key": held.Signers[0].Seed,
	}
	for what, b := range forbidden {
		if len(b) < 32 {
			t.Fatalf("%s has %d bytes", what, len(b))
		}
	}
	return forbidden, map[string][]byte{"the id key": d.Content, "the metadata key": d.Metadata}
}

// credentials are those of others that no mover may hold, and the mover's own to the store.
func credentials(t *testing.T, s *stage.Stage, collector string) (forbidden, own map[string][]byte) {
	t.Helper()
	token, err := os.ReadFile(s.Path("state", "api.token"))
	must(t, err)
	creds, err := os.ReadFile(s.Path("state", "coordinator.creds"))
	must(t, err)
	lines := bytes.Fields(creds)
	forbidden = map[string][]byte{
		"the collector's key to the store": []byte(collector), "the token of the API": bytes.TrimSpace(token),
		"the coordinator's key to the queue": lines[len(lines)-1],
	}
	for what, b := range forbidden {
		if len(b) < 20 {
			t.Fatalf("%s has %d bytes", what, len(b))
		}
	}
	return forbidden, map[string][]byte{"the mover's key to the store": []byte(s.S3Key())}
}

// forms are those in which a key may lie about.
func forms(key []byte) [][]byte {
	return [][]byte{key, []byte(hex.EncodeToString(key)), []byte(base64.StdEncoding.EncodeToString(key)), []byte(base64.RawURLEncoding.EncodeToString(key))}
}

// holds reports whether a text holds a key in any form.
func holds(text, key []byte) bool {
	for _, f := range forms(key) {
		if bytes.Contains(text, f) {
			return true
		}
	}
	return false
}

// family is a process and all that descend from it.
func family(t *testing.T, pid int) []int {
	t.Helper()
	all := []int{pid}
	children, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	must(t, err)
	for _, file := range children {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		for _, word := range strings.Fields(string(text)) {
			child, err := strconv.Atoi(word)
			must(t, err)
			all = append(all, family(t, child)...)
		}
	}
	return all
}

// memory calls look with each part of a process's memory that can be written to.
func memory(t *testing.T, pid int, look func([]byte)) {
	t.Helper()
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	must(t, err)
	defer maps.Close()
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	must(t, err) // as root: the programs let nobody else
	defer mem.Close()
	var read int64
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		from, to, _ := strings.Cut(fields[0], "-")
		begin, err := strconv.ParseUint(from, 16, 63)
		end, err2 := strconv.ParseUint(to, 16, 63)
		if err != nil || err2 != nil || !strings.HasPrefix(fields[1], "rw") {
			continue
		}
		const piece, overlap = 4 << 20, 8 << 10
		for off := int64(begin); off < int64(end); off += piece - overlap {
			b := make([]byte, min(piece, int64(end)-off))
			n, _ := mem.ReadAt(b, off) // what is not there cannot be read
			read += int64(n)
			look(b[:n])
		}
	}
	if read < 1<<20 {
		t.Fatalf("process %d: %d bytes of memory were read", pid, read)
	}
}

// innocent fails where a mover has what it must not: in the memory of its processes, in
// their environment, command line and open files.
func innocent(t *testing.T, when string, m *stage.Process, forbidden, granted map[string][]byte) {
	t.Helper()
	found := map[string]bool{}
	for _, pid := range family(t, m.PID()) {
		memory(t, pid, func(b []byte) {
			for what, key := range forbidden {
				if holds(b, key) {
					t.Errorf("%s: %s is in the memory of a mover's process", when, what)
				}
			}
			for what, key := range granted {
				found[what] = found[what] || holds(b, key)
			}
		})
		for _, part := range []string{"environ", "cmdline"} {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, part))
			must(t, err)
			for what, key := range forbidden {
				if holds(b, key) {
					t.Errorf("%s: %s is in the %s of a mover's process", when, what, part)
				}
			}
			for what, key := range granted {
				if holds(b, key) {
					t.Errorf("%s: %s is in the %s of a mover's process", when, what, part)
				}
			}
		}
		links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		must(t, err)
		for _, l := range links {
			if to, err := os.Readlink(l); err == nil && (strings.HasPrefix(to, "/") && strings.Contains(to, "passphrase")) {
				t.Errorf("%s: a mover's process has %s open", when, to)
			}
		}
	}
	for what := range granted {
		if !found[what] {
			t.Errorf("%s: %s is not found in the mover's memory: the search finds nothing", when, what)
		}
	}
}

// absent fails for files below a folder with any of the keys.
func absent(t *testing.T, folder string, keys map[string][]byte) (files int) {
	t.Helper()
	must(t, filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil // what goes meanwhile
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		files++
		for what, key := range keys {
			if holds(b, key) {
				t.Errorf("%s is in %s", what, path)
			}
		}
		return nil
	}))
	return files
}

// A mover that backs up to an encrypted repository holds the two keys that movers have and
// its own key to the store, and nothing that opens a chunk or a point, or signs, or gets in
// where movers do not: neither in the memory of its processes, while it works and
// afterwards, nor in its files; and no key at all is stored in the queue. What it has stored comes back, as it was, and another mover reads it.
func TestMoverOfAnEncryptedRepository(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.Config.KeyFiles = true
	_, err := s.StartS3(t.Context())
	must(t, err)
	collector := rand.Text()
	collects := s.Path("etc", "collector")
	must(t, os.WriteFile(collects, []byte("[default]\naws_access_key_id = collector\naws_secret_access_key = "+collector+"\n"), 0o600))
	s.Config.Collect = "credentials_file: " + collects
	d := filled(t, s, "disk-1", 96, 64)
	coordinator, movers := encrypted(t, s, "m1")
	forbidden, granted := secrets(t, s)
	others, own := credentials(t, s, collector)
	maps.Copy(forbidden, others)
	maps.Copy(granted, own)
	want := copied(t, s, d, "want")

	fast := slow(t, s)
	id, err := s.Backup(t.Context(), "--full")
	must(t, err)
	seen(t, s, coordinator, id, "the disk is read", moving("disk-1"))
	innocent(t, "during a backup", movers[0], forbidden, granted)
	fast()
	r, err := s.Ended(t.Context(), coordinator, id, limit)
	must(t, err)
	innocent(t, "after a backup", movers[0], forbidden, granted)

	all := maps.Clone(forbidden)
	maps.Copy(all, granted)
	if n := absent(t, s.Path("state", "queue"), all); n < 3 {
		t.Errorf("the queue has %d files", n)
	}
	for _, folder := range []string{s.Path("tmp"), s.Path("logs")} {
		absent(t, folder, all)
	}
	text, err := os.ReadFile(s.ConfigFile()) // the movers'
	must(t, err)
	for what, key := range all {
		if holds(text, key) {
			t.Errorf("%s is in the movers' configuration", what)
		}
	}

	must(t, movers[0].Stop())
	m2, err := s.StartMover("m2")
	must(t, err)
	restoreAndCompare(t, s, coordinator, r.Disk("disk-1").Point, "back", want)
	innocent(t, "after a restore", m2, forbidden, granted)
	absent(t, s.Path("state", "queue"), all)
	nothingLeft(t, s)
	if info := stored(t, s); info.Root == (ivd.KeyID{}) {
		t.Error("the repository is plain")
	}
}

// Both a mover and the coordinator are killed in the middle of a backup, and again of a
// restore: what is started in their place asks for its keys, or gives them, anew, and both
// go on.
func TestEncryptedRunsOutliveTheirPrograms(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	d := filled(t, s, "disk-1", 96, 64)
	coordinator, movers := encrypted(t, s, "m1")
	want := copied(t, s, d, "want")
	mover := movers[0]
	through := func(id, next string) stage.Run {
		t.Helper()
		mover.Kill()
		coordinator.Kill()
		var err error
		mover, err = s.StartMover(next) // before there is a coordinator
		must(t, err)
		configure(t, s, "passphrase_file: "+passphraseFile(s))
		coordinator, err = s.StartCoordinator(t.Context())
		must(t, err)
		configure(t, s, "root: "+stored(t, s).Root.String())
		r, err := s.Ended(t.Context(), coordinator, id, limit)
		must(t, err)
		return r
	}
	fast := slow(t, s)
	id, err := s.Backup(t.Context(), "--full")
	must(t, err)
	seen(t, s, coordinator, id, "the disk is read", moving("disk-1"))
	fast()
	point := through(id, "m2").Disk("disk-1").Point

	fast = slow(t, s)
	id, err = s.Restore(t.Context(), point, "back")
	must(t, err)
	seen(t, s, coordinator, id, "the disk is written", func(r stage.Run) bool {
		return len(r.Disks) > 0 && r.Disks[0].Stats.WrittenBytes > 0
	})
	fast()
	through(id, "m3")
	back, err := s.ByName(t.Context(), "back")
	must(t, err)
	flat, err := s.Flat(back)
	must(t, err)
	if _, err := stage.Compare(want, flat); err != nil {
		t.Error(err)
	}
	nothingLeft(t, s)
}

// A mover whose repo.json was made a plain one takes no job, and writes nothing.
func TestMoverIsNotDowngraded(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	filled(t, s, "disk-1", 8, 4)
	encrypted(t, s, "m1")
	file := filepath.Join(strings.TrimPrefix(s.Config.Repository, "dir://"), "repo.json")
	text, err := os.ReadFile(file)
	must(t, err)
	var info map[string]any
	must(t, json.Unmarshal(text, &info))
	info["cipher"], info["hash"] = "none", "blake3-256"
	delete(info, "root")
	text, err = json.Marshal(info)
	must(t, err)
	must(t, os.WriteFile(file, text, 0o600))
	m, err := s.StartMover("m2")
	must(t, err)
	if err := m.Wait(); err == nil || !strings.Contains(m.LastLines(), "the repository is plain") {
		t.Errorf("it ended with %v: %s", err, m.LastLines())
	}
	if files, err := filepath.Glob(filepath.Join(filepath.Dir(file), "writers", "*", "*")); err != nil || len(files) > 0 {
		t.Errorf("writers: %v, %v", files, err)
	}
}
