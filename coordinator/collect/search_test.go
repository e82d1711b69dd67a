package collect_test

import "testing"

// search looks at every state of a world. It returns what is broken in the first that is
// not as it must be, in how many steps that is reached, and how many states it has seen.
func (m model) search() (broken string, depth, states int) {
	seen := map[modelState]struct{}{}
	first := m.initial()
	seen[first] = struct{}{}
	front := []modelState{first}
	for ; len(front) > 0; depth++ {
		var next []modelState
		for i := range front {
			m.steps(&front[i], func(n modelState) {
				if _, known := seen[n]; known || broken != "" {
					return
				}
				seen[n] = struct{}{}
				next = append(next, n)
				if broken = m.broken(&n); broken == "" {
					broken = m.left(n)
				}
			})
			if broken != "" {
				return broken, depth + 1, len(seen)
			}
		}
		front = next
	}
	return "", depth, len(seen)
}

// The worlds: small enough to be searched whole.
var (
	oneWriter  = size{writers: 1, collectors: 2, forgets: 1}
	twoWriters = size{writers: 2, collectors: 1, forgets: 1}
	oneReader  = size{readers: 1, collectors: 2, forgets: 1}
	oneOfEach  = size{writers: 1, readers: 1, collectors: 1, forgets: 1}
)

// TestModel searches every order of steps of small worlds: with all rules nothing is lost
// and nothing stays for ever, and without any one of them something is, or does.
func TestModel(t *testing.T) {
	for name, w := range map[string]size{"one writer": oneWriter, "two writers": twoWriters, "one reader": oneReader, "one of each": oneOfEach} {
		broken, depth, states := model{allRules, w}.search()
		t.Logf("%s: %d states, %d steps", name, states, depth)
		if broken != "" {
			t.Errorf("%s: %s after %d steps", name, broken, depth)
		}
		if states < 1000 {
			t.Errorf("%s: only %d states were seen", name, states)
		}
	}
	for name, c := range map[string]struct {
		without func(*rules)
		in      size
	}{
		"W1, a lease first":                   {func(r *rules) { r.leaseFirst = false }, oneWriter},
		"W2, the lists after the lease":       {func(r *rules) { r.listsAfter = false }, oneWriter},
		"W3, nothing that is on a list":       {func(r *rules) { r.checkLists = false }, oneWriter},
		"W4, nor what the parent's tree has":  {func(r *rules) { r.checkParent = false }, oneWriter},
		"W6, a margin":                        {func(r *rules) { r.margin = false }, oneWriter},
		"G3, requests that expire":            {func(r *rules) { r.bounded = false }, oneWriter},
		"W7, a lease that outlives its doubt": {func(r *rules) { r.ownEnd = false }, oneWriter},
		"G1, names that are new":              {func(r *rules) { r.freshNames = false }, oneWriter},
		"P1, marks and no deletions":          {func(r *rules) { r.onlyMarks = false }, oneOfEach},
		"R1, no point that is on a list":      {func(r *rules) { r.readerLists = false }, oneReader},
		"C2, one creation":                    {func(r *rules) { r.publishOnce = false }, oneWriter},
		"C3, the leases after the list":       {func(r *rules) { r.waitAfter = false }, oneWriter},
		"C4, the points again":                {func(r *rules) { r.relist = false }, oneWriter},
		"C4, points first":                    {func(r *rules) { r.pointsFirst = false }, oneWriter},
		"C4, roots that were given up":        {func(r *rules) { r.forgottenAre = false }, oneWriter},
		"C5, lists that stay":                 {func(r *rules) { r.keepLists = false }, oneWriter},
		"C6, lists that are taken over":       {func(r *rules) { r.takeOver = false }, oneWriter},
	} {
		r := allRules
		c.without(&r)
		broken, depth, states := model{r, c.in}.search()
		t.Logf("without %s: %q after %d steps, %d states", name, broken, depth, states)
		if broken == "" {
			t.Errorf("without %s nothing is lost: the model does not see what the rule is for", name)
		}
	}
}
