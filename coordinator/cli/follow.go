package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/cli/progress"
	"ivdmover/shared/ivd"
)

// startedRun shows a run that has just started, or follows it to its end. Only the run's
// id goes to standard output, for scripts.
func (a *app) startedRun(ctx context.Context, c *api.Client, v api.Run, wait bool) error {
	if wait {
		return a.toEnd(ctx, c, v.ID)
	}
	return a.show(v, func(w io.Writer) error {
		fmt.Fprintf(a.errs, "the %s has started: follow it with `ivd run show %s --follow`\n", v.Kind, v.ID)
		_, err := fmt.Fprintln(w, v.ID)
		return err
	})
}

// toEnd follows a run to its end, shows it, and returns its verdict.
func (a *app) toEnd(ctx context.Context, c *api.Client, id ivd.RunID) error {
	v, err := a.follow(ctx, c, id)
	if err != nil {
		return err
	}
	if err := a.showRun(v); err != nil {
		return err
	}
	return verdict(v)
}

// showRun shows a run with its disks by name, and names those that cannot be read: for
// them it is an error.
func (a *app) showRun(v api.RunDetail) error {
	slices.SortStableFunc(v.Disks, func(x, y api.RunDisk) int { return strings.Compare(nameOf(x), nameOf(y)) })
	return a.showList(v, func(w io.Writer) error { return writeRun(w, v) }, unreadDisks(v), "not readable")
}

func unreadDisks(v api.RunDetail) (not unlisted) {
	for _, d := range v.Disks {
		if d.Unread != nil {
			not.add("disk "+d.Key, d.Unread)
		}
	}
	return not
}

// follow shows a run's progress on standard error until it has ended.
func (a *app) follow(ctx context.Context, c *api.Client, id ivd.RunID) (api.RunDetail, error) {
	p := progress.New(a.errs, time.Now)
	defer p.Clear()
	var last api.RunDetail
	for v, err := range c.Watch(ctx, id) {
		if err != nil {
			return last, stopped(ctx, id, err)
		}
		p.Show(v)
		last = v
	}
	return last, nil
}

// unknownEnd returns the error of a request which may be done all the same, since nobody
// waited for the answer: what that means, and how it is found out.
func unknownEnd(ctx context.Context, err error, means, remedy string) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return &ivd.Error{Kind: ivd.Cancelled, Err: fmt.Errorf("no longer waiting: %s", means), Remedy: remedy}
}

// mayHaveBegun is that of a run.
func mayHaveBegun(ctx context.Context, err error) error {
	return unknownEnd(ctx, err, "whether the run has begun is not known", "`ivd runs` lists those that have")
}

// stopped returns the error of a wait that ended before the run did.
func stopped(ctx context.Context, id ivd.RunID, err error) error {
	rest := fmt.Sprintf("follow it with `ivd run show %s --follow`, end it with `ivd run cancel %s`", id, id)
	if ctx.Err() != nil && errors.Is(context.Cause(ctx), errInterrupted) {
		return &ivd.Error{Kind: ivd.Cancelled, Err: fmt.Errorf("no longer waiting; run %s goes on", id), Remedy: rest}
	}
	if k := ivd.KindOf(err); k == ivd.Transient || k == ivd.Cancelled {
		return &ivd.Error{Kind: k, Err: fmt.Errorf("%w; run %s goes on when ivd serve does", err, id), Remedy: rest}
	}
	return err
}
