// Package script writes and reads the files by which a test, or a person, tells a
// laboratory how its hosts and datastores are and what is to go wrong: hosts.json,
// datastores.json, faults.json, answers.json, and report.jsonl, where the laboratory's
// library tells what a program did wrong.
//
// The files are read at each use, by the vCenter, the data port and the library in
// any process: a change counts from the next call on. Each is replaced as a whole.
// Without them hosts have no limits, no machine is a proxy, and nothing fails. The
// package starts nothing and keeps nothing.
package script

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Duration is written as "2ms".
type Duration time.Duration

// MarshalText writes it as time.Duration does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration reads.
func (d *Duration) UnmarshalText(text []byte) error {
	x, err := time.ParseDuration(string(text))
	*d = Duration(x)
	return err
}

// Hosts is hosts.json. Zero is no limit.
type Hosts struct {
	NFCMemory      int64    `json:"nfc_memory,omitempty"`      // bytes for the buffers of all sessions of a host
	NFCConnections int      `json:"nfc_connections,omitempty"` // open disks of a host
	Latency        Duration `json:"latency,omitempty"`         // of each request
	Bandwidth      int64    `json:"bandwidth,omitempty"`       // bytes a second of each session
	HotAdd         Pace     `json:"hotadd,omitzero"`           // what goes by the host's SCSI layer
	SAN            Pace     `json:"san,omitzero"`              // what goes by the storage network
	AccessRefused  []string `json:"access_refused,omitempty"`  // machines whose methods PrepareForAccess may not disable
	QuietFallback  bool     `json:"quiet_fallback,omitempty"`  // SAN or HotAdd asked for alone, and not available, becomes NBDSSL without a word
	Proxies        []Proxy  `json:"proxies,omitempty"`
}

// Pace is how fast a way is that the hosts have no part in.
type Pace struct {
	Latency   Duration `json:"latency,omitzero"`    // of each request
	Bandwidth int64    `json:"bandwidth,omitempty"` // bytes a second of each session
}

// Proxy is a machine that has more than the network.
type Proxy struct {
	BIOSUUID  string   `json:"bios_uuid"`
	VM        string   `json:"vm,omitempty"`         // the virtual machine that it is; empty: a physical one, which has no HotAdd
	FreeSlots int      `json:"free_slots,omitempty"` // of its SCSI controllers
	LUNs      []string `json:"luns,omitempty"`       // that it sees: names of datastores, or of their LUNs
	Encrypted bool     `json:"encrypted,omitempty"`  // it may hold encrypted disks
}

// WriteHosts replaces hosts.json of a laboratory's folder.
func WriteHosts(dir string, h Hosts) error { return write(dir, "hosts.json", h) }

// ReadHosts reads hosts.json; without one, there are no limits.
func ReadHosts(dir string) (Hosts, error) {
	return read[Hosts](dir, "hosts.json")
}

// read reads a file of a laboratory's folder; without it, nothing is said.
func read[T any](dir, name string) (said T, err error) {
	path := filepath.Join(dir, name)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return said, nil
	}
	if err != nil {
		return said, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var v T
	if err := d.Decode(&v); err != nil {
		return said, fmt.Errorf("%s: %w", path, err)
	}
	return v, nil
}

func write(dir, name string, v any) error {
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	return replace(dir, name, append(text, '\n'))
}

// replace writes a file of a laboratory's folder as a whole.
func replace(dir, name string, text []byte) error {
	f, err := os.CreateTemp(dir, "."+name+"-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", name, err), os.Remove(f.Name()))
	}
	return nil
}
