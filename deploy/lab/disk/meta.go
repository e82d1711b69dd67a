package disk

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"ivdmover/shared/ivd"
)

const (
	metaFile = "meta"
	none     = "-" // in the place of a series: untracked
)

// meta is what a disk's folder says of its snapshots and its tracking.
type meta struct {
	series    string // of the change ids
	since     uint64 // the series' first epoch
	epoch     uint64 // the present one
	cbt       bool
	revert    string // a revert to this snapshot was begun
	snapshots []Snapshot
}

// Snapshot is a point in time of a disk.
type Snapshot struct {
	ID     string
	Epoch  uint64 // its content is that of the end of this epoch
	series string // of changes, when it was made
}

// ChangeID is the snapshot's mark in the disk's tracked changes; empty where
// changes were not tracked.
func (s Snapshot) ChangeID() string {
	if s.series == none {
		return ""
	}
	return s.series + "/" + strconv.FormatUint(s.Epoch, 10)
}

var idPattern = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z-]{0,63}$`)

func (m meta) find(id string) int {
	for i, s := range m.snapshots {
		if s.ID == id {
			return i
		}
	}
	return -1
}

func (m meta) String() string {
	var b strings.Builder
	cbt := 0
	if m.cbt {
		cbt = 1
	}
	fmt.Fprintf(&b, "version 1\nseries %s\nsince %d\nepoch %d\ncbt %d\n", m.series, m.since, m.epoch, cbt)
	if m.revert != "" {
		fmt.Fprintf(&b, "revert %s\n", m.revert)
	}
	for _, s := range m.snapshots {
		fmt.Fprintf(&b, "snapshot %s %d %s\n", s.ID, s.Epoch, s.series)
	}
	return b.String()
}

func parseMeta(text []byte) (meta, error) {
	m := meta{series: none}
	for n, line := range bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n")) {
		if err := m.line(n, strings.Fields(string(line))); err != nil {
			return meta{}, &ivd.Error{Kind: ivd.Corrupt, Op: fmt.Sprintf("meta, line %d", n+1), Err: err}
		}
	}
	if m.epoch == 0 {
		return meta{}, ivd.Errorf(ivd.Corrupt, "meta without an epoch")
	}
	return m, nil
}

func (m *meta) line(n int, words []string) (err error) {
	if len(words) < 2 {
		return fmt.Errorf("want a word and its value")
	}
	if n == 0 && (words[0] != "version" || words[1] != "1") {
		return fmt.Errorf("want version 1, found %q", strings.Join(words, " "))
	}
	switch words[0] {
	case "version":
	case "series":
		m.series = words[1]
	case "since":
		m.since, err = strconv.ParseUint(words[1], 10, 63)
	case "epoch":
		m.epoch, err = strconv.ParseUint(words[1], 10, 63)
	case "cbt":
		m.cbt = words[1] == "1"
	case "revert":
		m.revert = words[1]
	case "snapshot":
		if len(words) != 4 || !idPattern.MatchString(words[1]) {
			return fmt.Errorf("want snapshot ID EPOCH SERIES")
		}
		s := Snapshot{ID: words[1], series: words[3]}
		s.Epoch, err = strconv.ParseUint(words[2], 10, 63)
		m.snapshots = append(m.snapshots, s)
	default:
		return fmt.Errorf("unknown word %q", words[0])
	}
	return err
}

func (d *Disk) writeMeta(m meta) error { return replace(d.file(metaFile), []byte(m.String())) }

// readMeta reads the meta file; fresh tells that it is not what was read last.
func (d *Disk) readMeta() (m meta, fresh bool, err error) {
	text, err := os.ReadFile(d.file(metaFile))
	if err != nil {
		return m, false, notFound(err)
	}
	if d.text == string(text) {
		return d.meta, false, nil
	}
	m, err = parseMeta(text)
	return m, true, err
}
