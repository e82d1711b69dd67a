package disk_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"ivdmover/deploy/lab/disk"
	"ivdmover/shared/soak"
)

const (
	childEnv = "IVD_TEST_DISK_CHILD" // path of a disk that a child works on until it is killed
	seedEnv  = "IVD_TEST_DISK_SEED"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		fmt.Println(work(path, os.Getenv(seedEnv)))
		os.Exit(1)
	}
	soak.Checks(25)
	os.Exit(m.Run())
}

// work does whatever changes a disk, for ever.
func work(path, seed string) error {
	n, err := strconv.ParseUint(seed, 10, 64)
	if err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(n, 1))
	d, err := disk.Open(path)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for i := 0; ; i++ {
		list := d.Snapshots()
		switch k := r.IntN(8); {
		case k == 0 && len(list) < 12:
			err = d.Snapshot(fmt.Sprintf("c%s-%d", seed, i))
		case k == 1 && len(list) > 3:
			err = d.DeleteSnapshot(context.Background(), list[r.IntN(len(list)-1)].ID)
		case k == 2 && r.IntN(4) == 0 && len(list) > 0:
			err = d.Revert(list[len(list)-1-r.IntN(min(2, len(list)))].ID)
		default:
			p := bytes.Repeat([]byte{byte(r.Uint32())}, 1+r.IntN(3*disk.BlockSize))
			err = d.WriteAt(p, r.Int64N(d.Capacity()-int64(len(p))))
		}
		if err != nil {
			return err
		}
	}
}

// TestKilledAnywhere kills a process that works on a disk, at random moments:
// every snapshot that is still there reads as when it was made, and what differs
// from it is among the changed areas.
func TestKilledAnywhere(t *testing.T) {
	const capacity = 40*disk.BlockSize + 512
	path := filepath.Join(t.TempDir(), "d.vmdk")
	if err := disk.Create(path, capacity); err != nil {
		t.Fatal(err)
	}
	open := func() *disk.Disk {
		d, err := disk.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	d := open()
	if err := d.TrackChanges(true); err != nil {
		t.Fatal(err)
	}
	known := map[string][]byte{}
	survived := 0
	r := rand.New(rand.NewPCG(7, 7))
	rounds := soak.Times(6)
	for round := range rounds {
		name := fmt.Sprintf("known-%d", round)
		if err := d.Snapshot(name); err != nil {
			t.Fatal(err)
		}
		for _, s := range d.Snapshots() {
			known[s.ID] = content(t, d, s.ID)
		}
		since := changeID(d, name)
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		killChild(t, path, round, time.Duration(r.Int64N(int64(30*time.Millisecond))))
		d = open()
		for _, s := range d.Snapshots() {
			if want := known[s.ID]; want != nil {
				survived++
				if !bytes.Equal(content(t, d, s.ID), want) {
					t.Fatalf("round %d: snapshot %s changed", round, s.ID)
				}
			}
		}
		if err := d.Snapshot(fmt.Sprintf("after-%d", round)); err != nil {
			t.Fatal(err)
		}
		a, err := d.Changed(fmt.Sprintf("after-%d", round), since, 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		now, then := content(t, d, ""), bytes.Clone(known[name])
		for _, x := range a.Extents {
			copy(then[x.Offset:x.End()], now[x.Offset:x.End()])
		}
		if !bytes.Equal(now, then) {
			t.Fatalf("round %d: a change is in no changed area", round)
		}
	}
	if survived < rounds {
		t.Fatalf("only %d snapshots were ever compared", survived)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

func killChild(t *testing.T, path string, seed int, after time.Duration) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), exe)
	c.Env = append(os.Environ(), childEnv+"="+path, seedEnv+"="+strconv.Itoa(seed))
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); line != "ready\n" {
		t.Fatalf("the child says %q: %v", line, err)
	}
	<-time.After(after)
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if rest, _ := io.ReadAll(lines); len(rest) > 0 {
		t.Fatalf("the child failed: %s", rest)
	}
	_ = c.Wait() // killed
}

func content(t *testing.T, d *disk.Disk, snapshot string) []byte {
	t.Helper()
	p := make([]byte, d.Capacity())
	if err := d.ReadAt(snapshot, p, 0); err != nil {
		t.Fatal(err)
	}
	return p
}
