package serve

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/probe"
)

// KeepVerdict stores in the repository what its store was found to do.
func KeepVerdict(ctx context.Context, r *repo.Repository, verdicts []probe.Verdict) error {
	findings := make([]format.StoreFinding, len(verdicts))
	for i, v := range verdicts {
		f := format.StoreFinding{Name: v.Probe.Name, Required: v.Probe.Need == probe.Required, Outcome: format.StoreOutcome(v.Outcome)}
		if v.Err != nil {
			f.Why, f.Lacks, f.Remedy = v.Err.Error(), v.Probe.Lacks, ivd.RemedyOf(v.Err)
		}
		findings[i] = f
	}
	return r.PutStoreVerdict(ctx, findings)
}

const remedyCheck = "run `ivd repo check-store`"

// Heed acts on what the store was found to do when it was tried last: one that must not
// be used is refused, and what is not done there is said. Of a store that nobody has
// tried the coordinator tries itself what commits rest on.
func Heed(ctx context.Context, r *repo.Repository, log *slog.Logger) error {
	v, err := r.StoreVerdict(ctx)
	switch kind := ivd.KindOf(err); {
	case kind == ivd.NotFound:
		log.Info("nobody has tried yet what this store does and does not", "remedy", remedyCheck)
		return nil
	case kind == ivd.Corrupt, kind == ivd.Unsupported, kind == ivd.Denied:
		log.Warn("what the store was found to do when it was tried cannot be read", "err", err, "remedy", remedyCheck)
		return nil
	case err != nil:
		return err
	}
	if f := v.Forbids(); f != nil {
		return &ivd.Error{
			Kind: ivd.Unsupported, Op: "use the store " + r.Store().String(),
			Err:    fmt.Errorf("when it was tried on %s it did not keep what it must (%s): %s", v.Checked.UTC().Format(time.RFC3339), f.Name, f.Why),
			Remedy: "use another store, or mend this one and " + remedyCheck,
		}
	}
	for _, f := range v.Probes {
		if f.Outcome != format.StoreKept && !f.Required {
			log.Info("the store does not do all that it could", "promise", f.Name, "why", f.Why, "so", f.Lacks)
		}
	}
	return nil
}
