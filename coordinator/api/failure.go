package api

import (
	"encoding/json"
	"net/http"

	"ivdmover/shared/ivd"
)

// statusOf is the one place where a kind of error becomes a status code.
func statusOf(k ivd.Kind) int {
	switch k {
	case ivd.Invalid:
		return http.StatusBadRequest
	case ivd.Denied:
		return http.StatusForbidden
	case ivd.NotFound:
		return http.StatusNotFound
	case ivd.Exists, ivd.Conflict, ivd.Unmet:
		return http.StatusConflict
	case ivd.Locked:
		return http.StatusLocked
	case ivd.Full:
		return http.StatusInsufficientStorage
	case ivd.Unsupported:
		return http.StatusNotImplemented
	case ivd.Transient, ivd.Withheld, ivd.Expired, ivd.Cancelled:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// fail answers with err and with the status code of its kind.
func fail(w http.ResponseWriter, err error) {
	answer(w, statusOf(ivd.KindOf(err)), problem{Error: ivd.FailureOf(err)})
}

// answer writes v as JSON. What cannot be written any more is the client's loss:
// it sees a body that ends too early.
func answer(w http.ResponseWriter, status int, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":{"message":"the answer cannot be written as JSON"}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
