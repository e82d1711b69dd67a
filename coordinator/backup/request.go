package backup

import (
	"context"

	"ivdmover/coordinator/catalogue"
	"ivdmover/coordinator/engine"
	"ivdmover/coordinator/policy"
	"ivdmover/shared/config"
	"ivdmover/shared/format"
)

// Request asks for a backup of all disks, of those of a policy, or of some.
type Request struct {
	All     bool
	Policy  string
	Disks   []catalogue.Disk // one without its source may be of any
	VCenter string           // only disks of the one that the configuration calls so; empty: of any
	Full    bool             // read all that is allocated, whatever changed
}

// Run chooses a request's disks and makes the run that backs them up.
func (w *Workflow) Run(ctx context.Context, q Request) (engine.Spec, error) {
	p, err := w.policyOf(q)
	if err != nil {
		return engine.Spec{}, err
	}
	chosen, leftOut, err := w.choose(ctx, q, p)
	if err != nil {
		return engine.Spec{}, err
	}
	s := engine.Spec{Kind: Kind, Lease: format.WriteLease, Failure: leftOut, Body: Order{Policy: q.Policy, Full: q.Full}}
	names := make([]catalogue.Disk, len(chosen))
	for i, d := range chosen {
		names[i] = catalogue.Disk{Source: d.Ref.Source(), ID: d.Ref.ID()}
	}
	for i, key := range Keys(names) {
		d := chosen[i]
		s.Items = append(s.Items, engine.ItemSpec{
			Key:  key,
			Body: Disk{Ref: d.Ref, Name: d.Name, Datastore: d.DatastoreName, Host: d.Host, CBT: p.CBT},
		})
	}
	return s, nil
}

// policyOf is the policy that a request names, or the one of requests that name none.
func (w *Workflow) policyOf(q Request) (config.Policy, error) {
	if q.Policy == "" {
		return policy.All(), nil
	}
	p, err := policy.Named(w.Policies, q.Policy)
	if err != nil {
		return config.Policy{}, err
	}
	return p, policy.Check(p)
}
