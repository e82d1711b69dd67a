package script

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Always is a Times without an end.
const Always = -1

// Fault is one rule of faults.json: what becomes of certain calls of the library.
// Calls are counted by each process for itself; with Shared, by all of them
// together, so that the next process does not meet again what killed the first.
type Fault struct {
	Call   string `json:"call"`             // without its prefix: "Open", "ReadAsync"
	Disk   string `json:"disk,omitempty"`   // empty: any
	Mode   string `json:"mode,omitempty"`   // transport; of Open, each attempt of the list; empty: any
	Nth    int    `json:"nth,omitempty"`    // the first of such calls that it happens to; 0 is 1
	Times  int    `json:"times,omitempty"`  // calls that it happens to; 0 is 1
	Shared bool   `json:"shared,omitempty"` // counted over all processes
	Do     string `json:"do"`               // Code, Delay, Hang, Panic or Abort
}

// What may be done.
const (
	Hang  = "hang"
	Panic = "panic"
	Abort = "abort"
)

// Code ends the call with one of VDDK's numbers.
func Code(n int) string { return "code:" + strconv.Itoa(n) }

// Delay makes the call take longer.
func Delay(d time.Duration) string { return "delay:" + d.String() }

// WriteFaults replaces faults.json of a laboratory's folder; all counting begins
// anew. Without rules, nothing fails any more.
func WriteFaults(dir string, rules ...Fault) error {
	if err := os.RemoveAll(filepath.Join(dir, "faults.count")); err != nil {
		return err
	}
	if len(rules) > 0 {
		return write(dir, "faults.json", rules)
	}
	err := os.Remove(filepath.Join(dir, "faults.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
