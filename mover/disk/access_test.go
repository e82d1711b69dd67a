package disk

import (
	"reflect"
	"testing"

	"ivdmover/shared/job"
	"ivdmover/vddk"
)

// A job says what its disk is opened by; of whose disk it is the library is told
// nothing.
func TestParams(t *testing.T) {
	login := job.Login{Server: "vc", Port: 443, NFCPort: 902, User: "u", Password: "p", Cookie: "c", Thumbprint: "AA"}
	of := func(change func(p *vddk.Params)) vddk.Params {
		p := vddk.Params{Server: "vc", Port: 443, NFCPort: 902, User: "u", Password: "p", Cookie: "c", Thumbprint: "AA"}
		change(&p)
		return p
	}
	for name, c := range map[string]struct {
		at   job.Location
		want vddk.Params
	}{
		"an IVD": {
			job.Location{IVD: "id", Datastore: "datastore-52"},
			of(func(p *vddk.Params) { p.Disk = &vddk.DiskSpec{ID: "id", Datastore: "datastore-52", Snapshot: "47"} }),
		},
		"a VM's own disk": {
			job.Location{VM: "vm-12", Path: "[datastore1] web/web.vmdk"},
			of(func(p *vddk.Params) { p.VM, p.VMSnapshot = "moref=vm-12", "47" }),
		},
	} {
		if got := params(c.at, "47", login); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
