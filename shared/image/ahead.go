package image

import (
	"context"
	"iter"
	"sync"
)

// ahead yields f of everything that in yields, in the same order, with up to n calls
// of f begun ahead of what was taken. The first error is yielded, and ends it; so does
// the end of ctx, which never looks like the end of in. What f has made and nobody
// takes any more goes to drop; what in yields is f's, unless its yield returns false.
// Both get a context that ends with the iteration. When it returns, all calls have
// ended.
func ahead[I, O any](ctx context.Context, n int, in func(context.Context) iter.Seq2[I, error], f func(context.Context, I) (O, error), drop func(O)) iter.Seq2[O, error] {
	type result struct {
		o   O
		err error
	}
	return func(yield func(O, error) bool) {
		work, cancel := context.WithCancel(ctx)
		queue := make(chan chan result, n)
		var calls sync.WaitGroup
		calls.Go(func() {
			defer close(queue)
			for i, err := range in(work) {
				answer := make(chan result, 1)
				select {
				case queue <- answer:
				case <-work.Done():
					return
				}
				if err != nil {
					answer <- result{err: err}
					return
				}
				calls.Go(func() {
					o, err := f(work, i)
					answer <- result{o, err}
				})
			}
		})
		defer func() {
			cancel()
			for answer := range queue {
				if r := <-answer; r.err == nil {
					drop(r.o)
				}
			}
			calls.Wait()
		}()
		for answer := range queue {
			r := <-answer
			if r.err != nil && ctx.Err() != nil {
				r.err = context.Cause(ctx)
			}
			if !yield(r.o, r.err) || r.err != nil {
				return
			}
		}
		if ctx.Err() != nil {
			var none O
			yield(none, context.Cause(ctx))
		}
	}
}

// nothing is for what need not be dropped.
func nothing[T any](T) {}
