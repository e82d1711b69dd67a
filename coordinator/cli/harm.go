package cli

import (
	"fmt"
	"io"

	"ivdmover/coordinator/api"
)

// harm is the restore points that are damaged, and those of which that is not known.
type harm struct {
	damaged   []api.Point
	unchecked int
}

func harmOf(points []api.Point) harm {
	var h harm
	for _, p := range points {
		if len(p.Damaged) > 0 {
			h.damaged = append(h.damaged, p)
		}
		if p.Unchecked {
			h.unchecked++
		}
	}
	return h
}

// harmShown is how many damaged points are named below a list; the list marks all.
const harmShown = 10

// write tells of them below the list.
func (h harm) write(w io.Writer) error {
	if len(h.damaged) > 0 {
		fmt.Fprintf(w, "\ndamaged, since packs that they need are missing or wrong (`ivd point show POINT` says what is lost):\n")
	}
	for i, p := range h.damaged {
		if i == harmShown {
			fmt.Fprintf(w, "  and %d more\n", len(h.damaged)-i)
			break
		}
		fmt.Fprintf(w, "  %s: %d packs\n", p.ShortID, len(p.Damaged))
	}
	if h.unchecked == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "\nwhether they are damaged is not known of %d points: `ivd points --check`, or `ivd points --disk ID`\n", h.unchecked)
	return err
}

// verdict is the error of a check that has found damage.
func (h harm) verdict() error {
	if len(h.damaged) == 0 {
		return nil
	}
	return marked{errPartly, fmt.Sprintf("restore points that are damaged: %d", len(h.damaged))}
}
