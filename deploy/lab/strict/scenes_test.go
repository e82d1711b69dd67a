package strict_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"ivdmover/vddk"
)

// scenes are processes that end badly. They take the disk from the environment.
var scenes = map[string]func() int{
	"attach": func() int {
		return openAnd("hotadd", func(*vddk.Handle) error { return syscall.Kill(os.Getpid(), syscall.SIGKILL) })
	},
	"read": func() int {
		return openAnd("nbdssl", func(h *vddk.Handle) error {
			b := vddk.Alloc(512)
			return h.Read(b.Bytes(), 0)
		})
	},
}

func lines(values ...any) string { return strings.TrimSuffix(fmt.Sprintln(values...), "\n") }

// params reads what lines wrote.
func params() vddk.Params {
	v := strings.Fields(os.Getenv("IVD_STRICT_PARAMS"))
	port, _ := strconv.Atoi(v[1])
	return vddk.Params{
		Server: v[0], Port: uint32(port), Thumbprint: v[2], User: v[3], Cookie: v[4],
		Disk: &vddk.DiskSpec{ID: v[5], Datastore: v[6], Snapshot: v[7]},
	}
}

func openAnd(modes string, f func(*vddk.Handle) error) int {
	p := params()
	c, err := lib.Connect(context.Background(), p, true, modes)
	if err == nil {
		var h *vddk.Handle
		if h, err = c.Open(context.Background(), p.Disk.ID, vddk.ReadOnly); err == nil {
			err = f(h)
		}
	}
	fmt.Println(err)
	if err != nil {
		return 3
	}
	return 0
}
