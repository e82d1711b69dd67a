package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"ivdmover/shared/ivd"
)

// Pages of long lists: how many entries one has unless the request says else, and
// at the most.
const (
	pageSize    = 500
	maxPageSize = 5000
)

// page answers with the part of a list that a request asks for by ?limit= and
// ?after=, the key of the last entry that it has, and names the next part in a Link
// header (RFC 8288). What the key names may have gone meanwhile: then it is refused,
// and the client begins anew.
func page[T any](w http.ResponseWriter, r *http.Request, all []T, key func(T) string) {
	limit := pageSize
	if s := r.URL.Query().Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > maxPageSize {
			fail(w, ivd.Errorf(ivd.Invalid, "limit=%q: want a number from 1 to %d", s, maxPageSize))
			return
		}
		limit = n
	}
	if after := r.URL.Query().Get("after"); after != "" {
		rest, found := all, false
		for i, v := range all {
			if key(v) == after {
				rest, found = all[i+1:], true
				break
			}
		}
		if !found {
			fail(w, &ivd.Error{Kind: ivd.NotFound, Err: fmt.Errorf("after=%q names no entry of this list", after), Remedy: "ask for the first page again"})
			return
		}
		all = rest
	}
	if len(all) > limit {
		all = all[:limit]
		next := url.Values{"limit": {strconv.Itoa(limit)}, "after": {key(all[limit-1])}}
		w.Header().Set("Link", fmt.Sprintf("<%s?%s>; rel=\"next\"", r.URL.EscapedPath(), next.Encode()))
	}
	answer(w, http.StatusOK, list(all))
}
