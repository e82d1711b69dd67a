package supervise

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// tieDescriptor is where the child finds the pipe's read end: the first of
// exec.Cmd's ExtraFiles.
const tieDescriptor = 3

// Bind is the child's first call: from then on the process ends, by calling gone,
// when the parent does. It refuses a process that was not started by Run. Its
// goroutine lives as long as the process.
func Bind(gone func()) error {
	var st syscall.Stat_t
	if err := syscall.Fstat(tieDescriptor, &st); err != nil || st.Mode&syscall.S_IFMT != syscall.S_IFIFO {
		return errors.New("this process was not started by its supervisor")
	}
	syscall.CloseOnExec(tieDescriptor)
	tie := os.NewFile(tieDescriptor, "parent")
	go func() {
		// Nothing is ever written: the read returns when the last writer is gone.
		_, _ = io.Copy(io.Discard, tie)
		gone()
	}()
	return nil
}
