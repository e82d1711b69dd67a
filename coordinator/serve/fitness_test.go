package serve

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
	"ivdmover/shared/store/dir"
	"ivdmover/shared/store/faults"
	"ivdmover/shared/store/probe"
)

// What the store was found to do decides whether it is used, and is said.
func TestStoreIsUsedAsItWasFound(t *testing.T) {
	broken := format.StoreFinding{Name: "create_once", Required: true, Outcome: format.StoreBroken, Why: "it creates twice"}
	lacks := format.StoreFinding{Name: "lock", Outcome: format.StoreBroken, Why: "no object lock", Lacks: "points are not protected"}
	kept := format.StoreFinding{Name: "list", Required: true, Outcome: format.StoreKept}
	for name, c := range map[string]struct {
		found  []format.StoreFinding
		spoil  string
		faults []faults.Fault
		kind   ivd.Kind
		says   []string // the log, or the error
		silent bool
	}{
		"never tried":        {says: []string{"nobody has tried", "ivd repo check-store"}},
		"fit for all":        {found: []format.StoreFinding{kept}, silent: true},
		"without locks":      {found: []format.StoreFinding{kept, lacks}, says: []string{"promise=lock", "points are not protected"}},
		"not fit":            {found: []format.StoreFinding{kept, broken}, kind: ivd.Unsupported, says: []string{"create_once", "it creates twice"}},
		"a damaged verdict":  {found: []format.StoreFinding{kept, broken}, spoil: "x", says: []string{"level=WARN", "cannot be read"}},
		"a store that waits": {found: []format.StoreFinding{kept}, faults: []faults.Fault{{On: faults.Get, Prefix: "store", Before: faults.ErrInjected}}, kind: ivd.Transient, says: []string{"injected"}},
	} {
		t.Run(name, func(t *testing.T) {
			folder, err := dir.Open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			r, err := repo.Init(t.Context(), faults.New(t, folder, c.faults...), repo.InitOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if c.found != nil {
				if err := r.PutStoreVerdict(t.Context(), c.found); err != nil {
					t.Fatal(err)
				}
			}
			if c.spoil != "" {
				if err := folder.Put(t.Context(), "store", []byte(c.spoil)); err != nil {
					t.Fatal(err)
				}
			}
			var log bytes.Buffer
			err = Heed(t.Context(), r, slog.New(slog.NewTextHandler(&log, nil)))
			if ivd.KindOf(err) != c.kind || err == nil != (c.kind == "") {
				t.Errorf("%v", err)
			}
			said := log.String()
			if err != nil {
				said = err.Error()
			}
			for _, want := range c.says {
				if !strings.Contains(said, want) {
					t.Errorf("%q does not say %q", said, want)
				}
			}
			if c.silent && said != "" {
				t.Errorf("it says %q", said)
			}
		})
	}
}

// What the store was found not to keep stays so until it is found to be kept.
func TestBrokenStaysUntilItIsKept(t *testing.T) {
	r := repotest.New(t)
	for i, c := range []struct {
		found, want probe.Outcome
		refused     bool
	}{
		{probe.Untried, probe.Untried, false},
		{probe.Broken, probe.Broken, true},
		{probe.Untried, probe.Broken, true},
		{probe.Denied, probe.Broken, true},
		{probe.Kept, probe.Kept, false},
		{probe.Denied, probe.Denied, false},
	} {
		v := probe.Verdict{Probe: probe.CreateOnce, Outcome: c.found}
		if c.found != probe.Kept {
			v.Err = errors.New("as it was")
		}
		if err := KeepVerdict(t.Context(), r.Repository, []probe.Verdict{v}); err != nil {
			t.Fatal(err)
		}
		kept, err := r.StoreVerdict(t.Context())
		if err != nil || len(kept.Probes) != 1 || kept.Probes[0].Outcome != format.StoreOutcome(c.want) {
			t.Errorf("check %d: %+v, %v", i, kept, err)
		}
		if err := r.StoreRefusal(t.Context()); (ivd.KindOf(err) == ivd.Unsupported) != c.refused {
			t.Errorf("check %d: %v", i, err)
		}
	}
}
