package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"ivdmover/shared/ivd"
	"ivdmover/shared/queue"
)

// ask has one of the movers do something with VDDK: the one with the most free
// handles first, the next where it does not answer.
func (s *Service) ask(ctx context.Context, q queue.MoverRequest) (queue.MoverReply, error) {
	q.Version = queue.Version
	movers, err := s.Queue.Movers(ctx)
	if err != nil {
		return queue.MoverReply{}, err
	}
	movers = slices.DeleteFunc(movers, func(m queue.Mover) bool { return m.Draining })
	slices.SortFunc(movers, func(a, b queue.Mover) int { return cmp.Compare(b.Free, a.Free) })
	last := errors.New("no mover is running")
	for _, m := range movers {
		reply, err := s.Queue.Ask(ctx, m.Name, q)
		if err == nil {
			err = reply.Failure.Err()
			if err != nil {
				err = fmt.Errorf("%s on mover %s: %w", q.Op, m.Name, err)
			}
			return reply, err
		}
		if ctx.Err() != nil {
			return reply, context.Cause(ctx)
		}
		last = err
	}
	return queue.MoverReply{}, &ivd.Error{Kind: ivd.Transient, Op: fmt.Sprintf("ask a mover to %s disk %s", q.Op, q.Disk.Disk), Err: last, Remedy: "start ivd-mover, or look at `ivd movers`"}
}
