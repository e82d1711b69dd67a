//go:build race

package format

import (
	"runtime"
	"unsafe"
)

// raceRead tells the race detector that b is read. It does not see what zstd does:
// that is partly assembly, and `make test` builds the rest without it, since it takes
// three quarters of the time there.
func raceRead(b []byte) {
	if len(b) > 0 {
		runtime.RaceReadRange(unsafe.Pointer(&b[0]), len(b))
	}
}

// raceWrite tells it that b is written.
func raceWrite(b []byte) {
	if len(b) > 0 {
		runtime.RaceWriteRange(unsafe.Pointer(&b[0]), len(b))
	}
}
