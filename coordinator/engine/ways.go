package engine

import (
	"slices"

	"ivdmover/shared/job"
)

// maxRefused bounds how many reasons are kept of one item: each mover has its own.
const maxRefused = 16

// ways gathers by which transports an item was moved and which were refused, each
// once.
type ways struct {
	used    []string
	refused []job.Refusal
}

func (w *ways) add(used []string, refused []job.Refusal) {
	for _, u := range used {
		w.used = appendNew(w.used, u)
	}
	for _, r := range refused {
		if len(w.refused) < maxRefused && !slices.Contains(w.refused, r) {
			w.refused = append(w.refused, r)
		}
	}
}

func appendNew(list []string, s string) []string {
	if s == "" || slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}
