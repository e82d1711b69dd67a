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

// tokens are the hashes of the bearer tokens that are let in.
type tokens [][sha256.Size]byte

// readTokens reads a file with one token a line, each followed by the name of who
// has it; empty lines and lines that begin with '#' are passed over. A file
// without any token is refused: it lets nobody in, and that is hardly meant.
func readTokens(path string) (tokens, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, &ivd.Error{Kind: ivd.Invalid, Op: "api.tokens_file", Err: err, Remedy: "write one token a line into it"}
	}
	var t tokens
	for line := range strings.Lines(strings.TrimPrefix(string(text), "\ufeff")) {
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

// add is the tokens with one more.
func (t tokens) add(token ivd.Secret) tokens {
	if token == "" {
		return t
	}
	return append(t, sha256.Sum256([]byte(token.Reveal())))
}

// guard lets in who has a token, and keeps out what a browser sends on behalf of other
// sites: requests of another origin and, on loopback, those to a name that was bound to
// its address.
func guard(t tokens, loopback bool, next http.Handler) http.Handler {
	next = http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if loopback && !isLoopback(r.Host) {
			fail(w, ivd.Errorf(ivd.Denied, "requests to %q: this server answers on loopback only", r.Host))
			return
		}
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || !t.has(token) {
			err := &ivd.Error{Kind: ivd.Denied, Err: fmt.Errorf("no token, or one that is not known here"), Remedy: "run it as the user of `ivd serve` (IVD_TOKEN_FILE names api.token below its state_dir), or set IVD_TOKEN to a token of api.tokens_file"}
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
