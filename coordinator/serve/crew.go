package serve

import (
	"context"
	"fmt"
	"strings"

	"ivdmover/coordinator/fleet"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// crew is the fleet, with what is known besides of the movers that run here.
type crew struct {
	*fleet.Fleet
	local *localMovers
}

// Shortage is why no mover takes jobs of a kind, with the last error of a mover that runs here.
func (c crew) Shortage(ctx context.Context, k job.Kind) (why, err error) {
	why, err = c.Fleet.Shortage(ctx, k)
	last := c.local.lastError()
	if _, reason, _ := strings.Cut(last, ": "); why != nil && last != "" && !strings.Contains(why.Error(), reason) { // else it has said so itself
		why = &ivd.Error{Kind: ivd.KindOf(why), Err: fmt.Errorf("%w; %s", why, last), Remedy: ivd.RemedyOf(why)}
	}
	return why, err
}
