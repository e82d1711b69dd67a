package heads

import (
	"context"

	"ivdmover/shared/repo"
)

// Guard is the leases of a repository's: none to write is opened before Check.
type Guard struct {
	*repo.Repository

	Keeper *Keeper
}

// OpenLease opens a lease. Kind Permanent, with ErrEarlier: the repository is not what was
// seen of it.
func (l Guard) OpenLease(ctx context.Context, s repo.LeaseSpec) (repo.Lease, error) {
	if s.Kind != repo.ReadLease {
		if err := l.Keeper.Check(ctx); err != nil {
			return repo.Lease{}, err
		}
	}
	return l.Repository.OpenLease(ctx, s)
}
