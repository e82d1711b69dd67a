package dataport

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"ivdmover/deploy/lab/estate"
	"ivdmover/shared/ivd"
)

// admitMachine is admit for a machine, or for a disk that a client names as a machine's: by the machine,
// the path of the disk's descriptor, and the machine's snapshot.
func (p *Port) admitMachine(q url.Values, k ticket) (ticket, error) {
	moid, ok := strings.CutPrefix(q.Get("vm"), "moref=")
	if !ok {
		return k, refuse(invalidArg, fmt.Sprintf("vmxSpec %q: want moref=ID", q.Get("vm")))
	}
	machine, ok := p.o.Front.Machine(moid)
	if !ok {
		return k, refuse(noMachine, fmt.Sprintf("no machine %q", moid))
	}
	if k.op != opOpen {
		k.machine = machine
		return k, nil
	}
	d, err := p.diskOf(machine, q.Get("path"))
	if err != nil {
		return k, err
	}
	k.datastore, k.disk = d.Datastore, d.ID
	ref := strings.TrimPrefix(q.Get("ref"), "moref=")
	if ref == "" && p.o.Estate.On(machine) {
		return k, refuse(failed, fmt.Sprintf("machine %s runs: open a snapshot of it", machine))
	}
	if ref != "" {
		s, err := d.Of(ref)
		if err != nil {
			return k, refuse(noSnapshot, err.Error())
		}
		k.snapshot = s.ID
	}
	return k, p.o.Estate.CanOpen(k.datastore, k.disk, k.snapshot, k.write)
}

// diskOf finds a machine's disk by a path like "[datastore1] fcd/x.vmdk".
func (p *Port) diskOf(machine, path string) (estate.Disk, error) {
	datastore, file, ok := strings.Cut(strings.TrimPrefix(path, "["), "] ")
	if !ok || !strings.HasPrefix(path, "[") {
		return estate.Disk{}, refuse(fileNotFound, fmt.Sprintf("path %q: want \"[datastore] folder/file.vmdk\"", path))
	}
	d, err := p.o.Estate.At(datastore, file)
	if err != nil {
		return d, err
	}
	if !slices.ContainsFunc(d.Attached, func(a estate.Attachment) bool { return a.Machine == machine }) {
		return d, ivd.Errorf(ivd.NotFound, "machine %s has no disk %s", machine, path)
	}
	return d, nil
}
