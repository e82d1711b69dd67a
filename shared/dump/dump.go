// Package dump keeps a process out of core files: both programs hold passwords, sessions
// and keys, and a core file would hold them too, where others find it.
//
// It changes this process alone, and what its children inherit; it never looks at a
// file.
package dump

import (
	"fmt"
	"syscall"
)

const setDumpable = 4 // PR_SET_DUMPABLE

// None has the kernel write no core file of this process, neither to a file nor to a
// program that collects them, and lets no other process of the same user read its memory.
// The limit is its children's too.
func None() error {
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core files: %w", err)
	}
	if _, _, errno := syscall.Syscall(syscall.SYS_PRCTL, setDumpable, 0, 0); errno != 0 {
		return fmt.Errorf("forbid core files: %w", errno)
	}
	return nil
}
