package serve

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/dir"
	"ivdmover/shared/store/faults"
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
