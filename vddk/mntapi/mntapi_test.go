package mntapi_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"ivdmover/vddk"
	"ivdmover/vddk/mntapi"
)

// ext4 writes a disk that is one file system: as much of it as anybody looks at.
func ext4(t *testing.T, label string) string {
	t.Helper()
	disk := make([]byte, 1<<20)
	super := disk[1024:]
	super[56], super[57] = 0x53, 0xef
	copy(super[120:136], label)
	path := filepath.Join(t.TempDir(), "disk.raw")
	if err := os.WriteFile(path, disk, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func connect(t *testing.T) *vddk.Connection {
	t.Helper()
	c, err := disks.Connect(t.Context(), vddk.Params{}, true, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Disconnect(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func open(t *testing.T, c *vddk.Connection, path string) *mntapi.DiskSet {
	t.Helper()
	set, err := lib.OpenDisk(t.Context(), c, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := set.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return set
}

// A disk's volume is found, mounted, and gone again.
func TestMount(t *testing.T) {
	ctx := t.Context()
	set := open(t, connect(t), ext4(t, "root"))
	if guest, err := set.OS(ctx); err != nil || guest != (mntapi.OS{Family: 255, Major: 6, Minor: 1, Is64: true, Vendor: "root", Folder: "/"}) {
		t.Errorf("the guest is %+v, %v", guest, err)
	}
	if !strings.HasPrefix(set.Path(), "/dev/") {
		t.Errorf("the disk is at %q", set.Path())
	}
	volumes, err := set.Volumes(ctx)
	if err != nil || len(volumes) != 1 {
		t.Fatalf("volumes %v, %v", volumes, err)
	}
	v := volumes[0]
	var e *vddk.Error
	if err := v.Dismount(ctx, false); !errors.As(err, &e) || e.Name != "VIX_E_MNTAPI_VOLUME_NOT_MOUNTED" {
		t.Errorf("dismounted what is not mounted: %v", err)
	}
	if err := v.Mount(ctx); err != nil {
		t.Fatal(err)
	}
	if err := v.Mount(ctx); !errors.As(err, &e) || e.Name != "VIX_E_MNTAPI_VOLUME_ALREADY_MOUNTED" {
		t.Errorf("mounted twice: %v", err)
	}
	info, err := v.Info(ctx)
	if err != nil || !info.Mounted || info.Type != 1 || len(info.GuestPoints) != 1 || info.GuestPoints[0] != "/" {
		t.Fatalf("%+v, %v", info, err)
	}
	if st, err := os.Stat(info.Path); err != nil || !st.IsDir() {
		t.Errorf("%s: %v", info.Path, err)
	}
	if err := v.Dismount(ctx, false); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(info.Path); err == nil {
		t.Errorf("%s is still there", info.Path)
	}
}

// Close dismounts first, and only then frees and closes: the other order leaves the
// disk open. The connection stays until then.
func TestCloseInOrder(t *testing.T) {
	ctx := t.Context()
	c := connect(t)
	set := open(t, c, ext4(t, "data"))
	volumes, err := set.Volumes(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := volumes[0].Mount(ctx); err != nil {
		t.Fatal(err)
	}
	info, err := volumes[0].Info(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Disconnect(); err == nil {
		t.Error("disconnected while a disk set is open")
	}
	if err := lib.Exit(); err == nil {
		t.Error("ended while a disk set is open")
	}
	if err := errors.Join(set.Close(ctx), set.Close(ctx)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(info.Path); err == nil {
		t.Errorf("%s is still mounted", info.Path)
	}
	if volumes[0].Mount(ctx) == nil {
		t.Error("mounted a volume of a closed disk")
	}
	if _, err := set.OS(ctx); err == nil {
		t.Error("asked a closed disk")
	}
}

// A disk without a name would crash the library: none gets there.
func TestNameless(t *testing.T) {
	c := connect(t)
	for _, name := range []string{"", "a\x00b"} {
		if _, err := lib.OpenDisk(t.Context(), c, name); err == nil || !strings.Contains(err.Error(), "UUID") {
			t.Errorf("%q: %v", name, err)
		}
	}
	var e *vddk.Error
	if _, err := lib.OpenDisk(t.Context(), c, "/none"); !errors.As(err, &e) || e.Class != vddk.Gone {
		t.Errorf("a disk that is not there: %v", err)
	}
}

func TestNoVolume(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk.raw")
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	volumes, err := open(t, connect(t), path).Volumes(t.Context())
	if err != nil || len(volumes) != 0 {
		t.Errorf("%v, %v", volumes, err)
	}
}

// Disks are opened and closed by both libraries at once, one at a time: the
// laboratory's aborts otherwise.
func TestBesideDisks(t *testing.T) {
	path := ext4(t, "root")
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			for range 20 {
				c, err := disks.Connect(t.Context(), vddk.Params{}, true, "")
				if err != nil {
					t.Error(err)
					return
				}
				if i%2 == 0 {
					h, err := c.Open(t.Context(), path, vddk.ReadOnly)
					if err == nil {
						err = h.Close()
					}
					if err != nil {
						t.Error(err)
					}
				} else if set, err := lib.OpenDisk(t.Context(), c, path); err != nil || set.Close(t.Context()) != nil {
					t.Errorf("disk set: %v", err)
				}
				if err := c.Disconnect(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}
