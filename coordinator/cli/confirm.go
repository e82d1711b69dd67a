package cli

import (
	"context"
	"fmt"
	"strings"

	"ivdmover/shared/ivd"
)

// confirm asks a question that only yes is a consent to. Kind Cancelled: it was not given.
func (a *app) confirm(ctx context.Context, question string) error {
	fmt.Fprint(a.errs, question, " [y/N] ")
	answered := make(chan string, 1)
	// A read of a terminal cannot be interrupted: when ctx ends, this goroutine ends
	// with the process.
	go func() {
		line, _ := readLine(a.in) // what cannot be read is no consent
		answered <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(a.errs)
		return context.Cause(ctx)
	case line := <-answered:
		if line == "y" || line == "yes" {
			return nil
		}
	}
	return ivd.Errorf(ivd.Cancelled, "nothing was done")
}
