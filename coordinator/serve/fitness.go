package serve

import (
	"context"
	"fmt"
	"log/slog"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/probe"
)

// KeepVerdict stores in the repository what its store was found to do. What it was found
// not to keep stays so until it is found to be kept: a check that could not try it, or was
// not allowed to, says nothing of it.
func KeepVerdict(ctx context.Context, r *repo.Repository, verdicts []probe.Verdict) error {
	before, err := r.StoreVerdict(ctx)
	switch ivd.KindOf(err) {
	case ivd.NotFound, ivd.Corrupt, ivd.Unsupported:
	default:
		if err != nil {
			return fmt.Errorf("read what the store was found to do before: %w", err)
		}
	}
	broken := map[string]format.StoreFinding{}
	for _, f := range before.Probes {
		if f.Outcome == format.StoreBroken {
			broken[f.Name] = f
		}
	}
	findings := make([]format.StoreFinding, len(verdicts))
	for i, v := range verdicts {
		f := format.StoreFinding{Name: v.Probe.Name, Required: v.Probe.Need == probe.Required, Outcome: format.StoreOutcome(v.Outcome)}
		if v.Err != nil {
			f.Why, f.Lacks, f.Remedy = v.Err.Error(), v.Probe.Lacks, ivd.RemedyOf(v.Err)
		}
		if was, known := broken[f.Name]; known && (v.Outcome == probe.Untried || v.Outcome == probe.Denied) {
			f = was
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
	if v.Forbids() != nil {
		return r.StoreRefusal(ctx)
	}
	for _, f := range v.Probes {
		if f.Outcome != format.StoreKept && !f.Required {
			log.Info("the store does not do all that it could", "promise", f.Name, "why", f.Why, "so", f.Lacks)
		}
	}
	return nil
}
