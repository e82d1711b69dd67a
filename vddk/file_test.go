package vddk_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"sync"
	"testing"

	"ivdmover/vddk"
)

func TestVersionAndModes(t *testing.T) {
	if lib.Version() != "8.0.0" || !lib.SupportsIVD() {
		t.Errorf("version %q, IVDs %v", lib.Version(), lib.SupportsIVD())
	}
	if modes := lib.TransportModes(); len(modes) != 5 || modes[0] != "file" {
		t.Errorf("modes %q", modes)
	}
	if v, ok := os.LookupEnv("LD_LIBRARY_PATH"); ok {
		t.Errorf("LD_LIBRARY_PATH=%s is left in the environment", v)
	}
}

// Capacities of all kinds are read back as they are, in pieces of all sizes.
func TestReadFile(t *testing.T) {
	for _, size := range []int64{512, 65536, 65536 + 512, 1<<20 - 512, 5<<20 + 3*512} {
		path, content := sparse(t, size, uint64(size))
		h := openFile(t, path, vddk.ReadOnly)
		if got := h.Info().Capacity * vddk.SectorSize; got != uint64(size) {
			t.Fatalf("capacity %d of a disk of %d", got, size)
		}
		if h.Transport() != "file" || h.Info().LogicalSectorSize != 512 {
			t.Fatalf("transport %q, %+v", h.Transport(), h.Info())
		}
		for _, piece := range []int64{512, 64 << 10, 1 << 20} {
			buf := alloc(t, int(piece))
			for at := int64(0); at < size; at += piece {
				part := buf[:min(piece, size-at)]
				if err := h.Read(part, uint64(at/512)); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(part, content[at:at+int64(len(part))]) {
					t.Fatalf("disk of %d differs from its file at %d", size, at)
				}
			}
			if piece == 512 && size > 1<<20 {
				break
			}
		}
	}
}

// concurrently does random reads and writes with 16 requests at once, each
// goroutine in its own part of the disk, and keeps content in step.
func concurrently(t *testing.T, h *vddk.Handle, content []byte) {
	t.Helper()
	const workers = 16
	share := len(content) / workers / 512 * 512
	var group sync.WaitGroup
	for w := range workers {
		buf := alloc(t, 256<<10)
		group.Go(func() {
			part := content[w*share : (w+1)*share]
			random := rand.New(rand.NewPCG(uint64(w), 2))
			for range 40 {
				n := min((random.IntN(len(buf)/512)+1)*512, len(part))
				at := random.IntN((len(part)-n)/512+1) * 512
				sector := uint64(w*share+at) / 512
				if random.IntN(2) == 0 {
					fill(random, buf[:n])
					copy(part[at:], buf[:n])
					if err := h.Write(buf[:n], sector); err != nil {
						t.Error(err)
						return
					}
				}
				clear(buf[:n])
				if err := h.Read(buf[:n], sector); err != nil {
					t.Error(err)
					return
				}
				if !bytes.Equal(buf[:n], part[at:at+n]) {
					t.Errorf("sector %d, %d bytes: not what was written", sector, n)
					return
				}
			}
		})
	}
	group.Wait()
}

// Many readers or one writer, as locks on VMFS are.
func TestLocked(t *testing.T) {
	path, _ := sparse(t, 1<<20, 9)
	openFile(t, path, vddk.ReadOnly)
	c, err := lib.Connect(t.Context(), vddk.Params{}, false, "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Disconnect()
	_, err = c.Open(t.Context(), path, 0)
	wantCode(t, err, 15, vddk.Locked)
	other, err := c.Open(t.Context(), path, vddk.ReadOnly)
	if err != nil {
		t.Fatalf("two readers: %v", err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
}

// The list of transports decides: the first that works.
func TestTransportChoice(t *testing.T) {
	path, _ := sparse(t, 1<<20, 9)
	for _, modes := range []string{"file", "san:hotadd:file", "nbdssl:FILE"} {
		if h := openDisk(t, vddk.Params{}, path, vddk.ReadOnly, modes); h.Transport() != "file" {
			t.Errorf("%s: took %s", modes, h.Transport())
		}
	}
	_, err := lib.Connect(t.Context(), vddk.Params{}, true, "floppy")
	wantCode(t, err, 6, vddk.Fallback)
	c, err := lib.Connect(t.Context(), vddk.Params{}, true, "san:nbdssl")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Disconnect()
	_, err = c.Open(t.Context(), path, vddk.ReadOnly)
	wantCode(t, err, 16053, vddk.Fallback)
}
