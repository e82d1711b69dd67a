package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"ivdmover/shared/ivd"
)

// tokens are the hashes of the bearer tokens that are let in. None at all means
// that nobody is asked for one.
type tokens [][sha256.Size]byte

// readTokens reads a file with one token a line, each followed by the name of who
// has it; empty lines and lines that begin with '#' are passed over. A file
// without any token is refused: it lets nobody in, and that is hardly meant.
func readTokens(path string) (tokens, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, &ivd.Error{Kind: ivd.Invalid, Op: "api.tokens_file", Err: err, Remedy: "write one token a line into it"}
	}
	var t tokens
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) > 0 && !strings.HasPrefix(words[0], "#") {
			t = append(t, sha256.Sum256([]byte(words[0])))
		}
	}
	if len(t) == 0 {
		return nil, &ivd.Error{Kind: ivd.Invalid, Op: "api.tokens_file", Err: fmt.Errorf("%s holds no token", path), Remedy: "write one token a line into it"}
	}
	return t, nil
}

// has compares with every token in a time that tells nothing.
func (t tokens) has(token string) bool {
	h := sha256.Sum256([]byte(token))
	found := 0
	for _, x := range t {
		found |= subtle.ConstantTimeCompare(x[:], h[:])
	}
	return found == 1
}

// guard lets in who has a token. Where no tokens are set (on loopback only), it
// still keeps out what a browser sends on behalf of other sites: requests of
// another origin, and those to a name that was bound to a loopback address.
func guard(t tokens, next http.Handler) http.Handler {
	next = http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(t) == 0 {
			if !isLoopback(r.Host) {
				fail(w, ivd.Errorf(ivd.Denied, "requests to %q: this server answers on loopback only", r.Host))
				return
			}
			next.ServeHTTP(w, r)
			return
		}
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || !t.has(token) {
			err := &ivd.Error{Kind: ivd.Denied, Err: fmt.Errorf("no token, or one that is not known here"), Remedy: "set IVD_TOKEN or --token to a token of the server's api.tokens_file"}
			w.Header().Set("WWW-Authenticate", `Bearer realm="ivd"`)
			answer(w, http.StatusUnauthorized, problem{Error: ivd.FailureOf(err)})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLoopback reports whether a host, with or without its port, is this machine
// seen from itself.
func isLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
