package engine

import (
	"context"
	"time"

	"ivdmover/coordinator/admit"
	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
)

// TokensOf are the tokens of one disk for each item. Where finds it, and the host that it
// is opened through, in the item's body, of type B. An error of where's: this
// coordinator cannot work on that disk.
func TokensOf[B any](items []Item, where func(B) (ivd.DiskRef, ivd.HostID, error)) ([]admit.Token, error) {
	var tokens []admit.Token
	for _, it := range items {
		var body B
		if err := it.Decode(&body); err != nil {
			return nil, err
		}
		ref, host, err := where(body)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, admit.OfDisk(ref, host)...)
	}
	return tokens, nil
}

// tokensAgain is how often a workflow is asked again that cannot say yet where its disks
// are: it is told by others, and asks nobody.
var tokensAgain = pause.Backoff{
	First: time.Second, Cap: 5 * time.Second, Jitter: 0.25,
	Retry: func(err error, _ int) bool { return ivd.KindOf(err) == ivd.Transient },
}

// tokens are what the group needs to start. It waits, for as long as that takes, where
// they are not known yet.
func (g *Group) tokens(ctx context.Context) (tokens []admit.Token, err error) {
	b, waited := tokensAgain, false
	b.Tell = func(err error, _ time.Duration) {
		if !waited {
			g.log.Warn("items wait", "err", err, "remedy", ivd.RemedyOf(err))
		}
		waited = true
		g.waits(err.Error())
	}
	err = b.Do(ctx, func(context.Context) (err error) {
		tokens, err = g.d.workflow.Tokens(g.items())
		return err
	})
	if waited {
		g.waits("")
	}
	return tokens, err
}
