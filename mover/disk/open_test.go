package disk

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/vddk"
)

func failure(c vddk.Class) error { return &vddk.Error{Class: c, Code: 1, Name: string(c)} }

// fake is a host whose library answers what it is told, and what it was asked.
func fake(t *testing.T, modes []string, m Machine, answers map[string][]error) (h *Host, asked *[]string) {
	t.Helper()
	asked = new([]string)
	h = &Host{
		lib: lib, modes: modes, machine: m, log: slog.New(slog.DiscardHandler),
		limits: defaultLimits, paths: newPaths(), cleaned: map[string]bool{"": true}, left: &left{},
	}
	h.turn.init(0)
	path := sparseFile(t, 1<<20)
	h.connect = func(ctx context.Context, _ vddk.Params, _ string, write bool, mode string) (*Disk, error) {
		*asked = append(*asked, mode)
		if left := answers[mode]; len(left) > 0 {
			answers[mode] = left[1:]
			if left[0] != nil {
				return nil, left[0]
			}
		}
		return h.openWith(ctx, vddk.Params{}, path, write, file)
	}
	return h, asked
}

func TestTransportsAreTriedInTurn(t *testing.T) {
	modes := []string{"san", "hotadd", "nbdssl", "nbd"}
	vm := Machine{VM: true, BIOSUUID: "u"}
	gone := &vddk.Error{Class: vddk.Transient, Name: "abandoned"}
	for _, c := range []struct {
		name    string
		answers map[string][]error
		asked   []string
		class   vddk.Class
	}{
		{"the first choice works", nil, []string{"san"}, ""},
		{"it cannot", map[string][]error{"san": {failure(vddk.Fallback)}}, []string{"san", "hotadd"}, ""},
		{"no free slot", map[string][]error{"san": {failure(vddk.Fallback)}, "hotadd": {failure(vddk.Locked)}}, []string{"san", "hotadd", "nbdssl"}, ""},
		{"locked for everybody", map[string][]error{"san": {failure(vddk.Locked)}, "hotadd": {failure(vddk.Locked)}, "nbdssl": {failure(vddk.Locked)}}, []string{"san", "hotadd", "nbdssl"}, vddk.Locked},
		{"none can", map[string][]error{"san": {failure(vddk.Fallback)}, "hotadd": {failure(vddk.Fallback)}, "nbdssl": {failure(vddk.Fallback)}, "nbd": {failure(vddk.Fallback)}}, modes, vddk.Fallback},
		{"the last says least", map[string][]error{"san": {failure(vddk.Locked)}, "hotadd": {failure(vddk.Fallback)}, "nbdssl": {failure(vddk.Fallback)}, "nbd": {failure(vddk.Fallback)}}, modes, vddk.Locked},
		{"another will not help", map[string][]error{"san": {failure(vddk.Denied)}}, []string{"san"}, vddk.Denied},
		{"a network is the same for both", map[string][]error{"san": {failure(vddk.Fallback)}, "hotadd": {failure(vddk.Fallback)}, "nbdssl": {gone}}, []string{"san", "hotadd", "nbdssl"}, vddk.Transient},
	} {
		h, asked := fake(t, modes, vm, c.answers)
		d, err := h.Open(t.Context(), Spec{})
		if !slices.Equal(*asked, c.asked) || class(err) != c.class {
			t.Errorf("%s: asked %q, %v", c.name, *asked, err)
		}
		if d != nil {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	h, _ := fake(t, modes, vm, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Open(ctx, Spec{}); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}

func TestEndAccessIsTriedOnce(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers []error
		end     error
		ends    int
		class   vddk.Class
	}{
		{"no need", []error{nil}, nil, 0, ""},
		{"another error", []error{failure(vddk.Locked)}, nil, 0, vddk.Locked},
		{"it helps", []error{failure(vddk.TransientAfterEndAccess), nil}, nil, 1, ""},
		{"it does not", []error{failure(vddk.TransientAfterEndAccess), failure(vddk.TransientAfterEndAccess)}, nil, 1, vddk.TransientAfterEndAccess},
		{"it fails", []error{failure(vddk.TransientAfterEndAccess)}, failure(vddk.Denied), 1, vddk.TransientAfterEndAccess},
	} {
		opens, ends := 0, 0
		_, err := afterEndAccess(func() (*Disk, error) {
			opens++
			return nil, c.answers[opens-1]
		}, func() error {
			ends++
			return c.end
		})
		if opens != len(c.answers) || ends != c.ends || class(err) != c.class {
			t.Errorf("%s: %d opens, %d ends, %v", c.name, opens, ends, err)
		}
	}
}

// The laboratory's vCenter, its tickets and its data port, as a mover meets them.
func TestDiskOfAVCenter(t *testing.T) {
	l := startLab(t, t.TempDir(), 1)
	refs, login, cookie, _ := labDisks(t, l)
	ref := refs[0]
	d, err := host.Open(t.Context(), Spec{Disk: job.IVD(ref), Login: cookie, Write: true})
	if err != nil {
		t.Fatal(err)
	}
	if d.Capacity() != 8<<20 || d.Transport() != "nbdssl" {
		t.Errorf("capacity %d by %s", d.Capacity(), d.Transport())
	}
	buf := vddk.Alloc(64 << 10)
	defer buf.Free()
	text := bytes.Repeat([]byte("through the wire"), 4<<10)
	copy(buf.Bytes(), text)
	if err := errors.Join(d.WriteAt(t.Context(), buf.Bytes(), 1<<20), d.Flush(t.Context())); err != nil {
		t.Error(err)
	}
	clear(buf.Bytes())
	if err := d.ReadAt(t.Context(), buf.Bytes(), 1<<20); err != nil || !bytes.Equal(buf.Bytes(), text) {
		t.Errorf("read back: %v", err)
	}
	if err := errors.Join(d.Close(), d.Close()); err != nil {
		t.Error(err)
	}

	for _, c := range []struct {
		name  string
		spoil func(*Spec)
		kind  ivd.Kind
	}{
		{"a wrong password", func(s *Spec) { s.Login.Password = "wrong" }, ivd.Denied},
		{"no such disk", func(s *Spec) {
			s.Disk = job.IVD(ivd.NewDiskRef(s.Disk.Ref.Source(), s.Disk.Ref.Datastore(), "0f0e0d0c-0000-4000-8000-000000000009"))
		}, ivd.NotFound},
		{"no such snapshot", func(s *Spec) { s.Snapshot = "0f0e0d0c-0000-4000-8000-000000000008" }, ivd.NotFound},
		{"nobody there", func(s *Spec) { s.Login.Port = 1 }, ivd.Transient},
	} {
		s := Spec{Disk: job.IVD(ref), Login: login}
		c.spoil(&s)
		if d, err := host.Open(t.Context(), s); ivd.KindOf(err) != c.kind {
			t.Errorf("%s: %v, %v", c.name, d, err)
		} else if strings.Contains(err.Error(), login.Password.Reveal()) {
			t.Errorf("%s: the password is in %v", c.name, err)
		}
	}
	s := Spec{Disk: job.IVD(ref), Login: login}
	s.Login.Thumbprint = strings.Repeat("AA:", 19) + "AA"
	if _, err := host.Open(t.Context(), s); err == nil || !strings.Contains(err.Error(), login.Thumbprint) {
		t.Errorf("a wrong thumbprint: %v, want the right one %s in it", err, login.Thumbprint)
	}
	if err := host.PrepareAccess(t.Context(), job.IVD(ref), login, ""); err != nil {
		t.Error(err)
	}
	if err := errors.Join(host.EndAccess(t.Context(), job.IVD(ref), login, ""), host.EndAccess(t.Context(), job.IVD(ref), login, "")); err != nil {
		t.Error(err)
	}
}
