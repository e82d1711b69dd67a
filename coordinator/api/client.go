package api

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ivdmover/shared/ivd"
)

// ClientOptions are which server to ask, and how.
type ClientOptions struct {
	Server string     // URL; empty: DefaultServer
	Token  ivd.Secret // empty: none, or that of the file
	// TokenFile has the token, and is read for each request: `ivd serve` writes it anew at
	// its start. None is sent where it cannot be read.
	TokenFile string
	CAFile    string        // PEM; empty: the system's authorities
	Patience  time.Duration // how long Watch tries to reach a server that went away; 0: two minutes
	// News is called while a request is worked on, every few seconds, with what is being
	// done; and with an empty line when it is answered, if it was called before.
	News func(line string)
}

// Client asks a server. It is safe for concurrent use.
type Client struct {
	base     *url.URL
	token    ivd.Secret
	file     string // with the token
	http     *http.Client
	patience time.Duration
	news     func(line string) // may be nil
}

// NewClient checks the options. It does not contact the server. The caller must call
// Close.
func NewClient(o ClientOptions) (*Client, error) {
	if o.Server == "" {
		o.Server = DefaultServer
	}
	base, err := url.Parse(o.Server)
	if err == nil && (base.Scheme != "http" && base.Scheme != "https" || base.Host == "") {
		err = errors.New("want http://host:port or https://host:port")
	}
	if err != nil {
		return nil, &ivd.Error{Kind: ivd.Invalid, Op: fmt.Sprintf("server %q", o.Server), Err: err, Remedy: "give a URL such as " + DefaultServer}
	}
	if (o.Token != "" || o.TokenFile != "") && base.Scheme == "http" && !isLoopback(base.Host) {
		return nil, &ivd.Error{Kind: ivd.Invalid, Op: "server " + o.Server, Err: errors.New("a token is not sent over plain HTTP to another machine"), Remedy: "use https"}
	}
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		ForceAttemptHTTP2:   true,
	}
	if o.CAFile != "" {
		if transport.TLSClientConfig, err = trust(o.CAFile); err != nil {
			return nil, err
		}
	}
	if o.Patience == 0 {
		o.Patience = 2 * time.Minute
	}
	return &Client{base: base, token: o.Token, file: o.TokenFile, http: &http.Client{Transport: transport}, patience: o.Patience, news: o.News}, nil
}

func trust(caFile string) (*tls.Config, error) {
	pem, err := os.ReadFile(caFile)
	pool := x509.NewCertPool()
	if err == nil && !pool.AppendCertsFromPEM(pem) {
		err = errors.New("no certificate in it")
	}
	if err != nil {
		return nil, &ivd.Error{Kind: ivd.Invalid, Op: "CA file " + caFile, Err: err, Remedy: "give a file with certificates in PEM"}
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// send makes a request and returns the answer when it is a success. The caller must
// close its body.
func (c *Client) send(ctx context.Context, method, path string, query url.Values, body any) (*http.Response, error) {
	u := *c.base.JoinPath(path)
	u.RawQuery = query.Encode()
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("request to %s: %w", path, err)
		}
		content = bytes.NewReader(b)
	}
	request, err := http.NewRequestWithContext(ctx, method, u.String(), content)
	if err != nil {
		return nil, fmt.Errorf("request to %s: %w", path, err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	token, tokenErr := c.bearer()
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	heard, e := c.listen(request)
	response, err := c.http.Do(heard)
	e.answered()
	if err != nil {
		err = c.unreached(ctx, cmp.Or(silenced(heard.Context()), err))
		e.stop()
		return nil, err
	}
	response.Body = &heardBody{ReadCloser: response.Body, ctx: heard.Context(), ear: e}
	if response.StatusCode/100 != 2 {
		defer func() { _ = response.Body.Close() }()
		err := c.refusal(response)
		if response.StatusCode == http.StatusUnauthorized && tokenErr != nil {
			err = &ivd.Error{Kind: ivd.Denied, Op: "read the token", Err: tokenErr, Remedy: ivd.RemedyOf(err)}
		}
		return nil, err
	}
	return response, nil
}

// bearer is the token to send, and why it cannot be read.
func (c *Client) bearer() (ivd.Secret, error) {
	if c.token != "" || c.file == "" {
		return c.token, nil
	}
	text, err := os.ReadFile(c.file)
	return ivd.Secret(strings.TrimSpace(string(text))), err
}

// unreached returns the error of a request without an answer: its innermost cause.
func (c *Client) unreached(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	e := &ivd.Error{Kind: ivd.Transient, Op: "no answer from " + c.base.String(), Err: err, Remedy: "is `ivd serve` running? --server or IVD_SERVER name another address"}
	var shell *url.Error
	if errors.As(err, &shell) {
		e.Err = shell.Err
	}
	var number syscall.Errno
	var unknown x509.UnknownAuthorityError
	switch {
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		e.Kind, e.Remedy = ivd.Invalid, "begin --server or IVD_SERVER with http://: there is no TLS"
	case errors.As(err, &number):
		e.Err = number
	case errors.As(err, &unknown):
		e.Kind, e.Remedy = ivd.Denied, "give the server's authority with --ca-file"
	}
	return e
}

// refusal returns the error that an answer contains. An answer without one does not
// come from `ivd serve`, and the error names its address.
func (c *Client) refusal(response *http.Response) error {
	var p problem
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if json.Unmarshal(body, &p) == nil && p.Error != nil && p.Error.Message != "" {
		return p.Error.Err()
	}
	if bytes.Contains(body, []byte("HTTP request to an HTTPS server")) {
		return &ivd.Error{Kind: ivd.Invalid, Op: c.base.String(), Err: errors.New("the server wants TLS"), Remedy: "begin --server or IVD_SERVER with https://"}
	}
	return &ivd.Error{Kind: ivd.Permanent, Op: c.base.String(), Err: fmt.Errorf("answered %q, which `ivd serve` does not", strings.TrimSpace(response.Status)), Remedy: "give the address of `ivd serve` with --server or IVD_SERVER"}
}

// call makes a request and decodes its answer.
func call[T any](ctx context.Context, c *Client, method, path string, query url.Values, body any) (T, error) {
	out, _, err := callPage[T](ctx, c, method, path, query, body)
	return out, err
}

// callAll returns all pages of a list.
func callAll[T any](ctx context.Context, c *Client, path string) ([]T, error) {
	all := []T{}
	query := url.Values{"limit": {strconv.Itoa(maxPageSize)}}
	for {
		part, next, err := callPage[[]T](ctx, c, http.MethodGet, path, query, nil)
		if err != nil {
			return nil, err
		}
		all = append(all, part...)
		if next == nil {
			return all, nil
		}
		query = next
	}
}

// callPage is call, and also returns the query of the next page, where there is one.
func callPage[T any](ctx context.Context, c *Client, method, path string, query url.Values, body any) (out T, next url.Values, err error) {
	response, err := c.send(ctx, method, path, query, body)
	if err != nil {
		return out, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(response.Body).Decode(&out); err != nil {
		if ctx.Err() != nil {
			return out, nil, context.Cause(ctx)
		}
		return out, nil, &ivd.Error{Kind: ivd.Transient, Op: "answer of " + c.base.String(), Err: plain(err)}
	}
	return out, nextPage(response.Header.Get("Link")), nil
}

// nextPage returns the query of the next page that a Link header names.
func nextPage(link string) url.Values {
	target, ok := strings.CutSuffix(link, `>; rel="next"`)
	if !ok {
		return nil
	}
	u, err := url.Parse(strings.TrimPrefix(target, "<"))
	if err != nil {
		return nil
	}
	return u.Query()
}
