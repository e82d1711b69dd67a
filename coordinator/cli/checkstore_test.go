package cli_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ivdmover/coordinator/cli"
	"ivdmover/shared/config"
	"ivdmover/shared/repo"
	"ivdmover/shared/store/open"
	"ivdmover/shared/store/storetest"
)

// storeConfig writes a configuration that names a store, by more lines of its part.
func storeConfig(t *testing.T, lines string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ivd.yaml")
	if err := os.WriteFile(file, []byte("repository:\n"+lines), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// bucketLines are those of a service's bucket, which is reached at an address.
func bucketLines(t *testing.T, s storetest.Service, endpoint string) string {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", s.AccessKey.Reveal())
	t.Setenv("AWS_SECRET_ACCESS_KEY", s.SecretKey.Reveal())
	return fmt.Sprintf("  url: s3://%s/estate\n  endpoint: %s\n  region: us-east-1\n  path_style: true\n", s.Bucket, endpoint)
}

// findings are the outcomes that a check prints as JSON.
func findings(t *testing.T, out string) (fit, kept bool, outcomes map[string]string, left []string) {
	t.Helper()
	var c struct {
		Fit, Kept bool
		Probes    []struct{ Name, Outcome string }
		Left      []string
	}
	if err := json.Unmarshal([]byte(out), &c); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	outcomes = map[string]string{}
	for _, p := range c.Probes {
		outcomes[p.Name] = p.Outcome
	}
	return c.Fit, c.Kept, outcomes, c.Left
}

// A folder keeps every promise, and has nothing of a bucket; the verdict is kept in the
// repository, and nothing else stays.
func TestCheckFolder(t *testing.T) {
	folder := t.TempDir()
	file := storeConfig(t, "  url: dir://"+folder+"\n")
	code, out, errs := do(t.Context(), cli.Extra{}, "repo", "check-store", "--config", file)
	if code != 0 || !strings.Contains(out, "a second creation of a name is refused") || !strings.Contains(out, "fit for a repository; the verdict is not kept") || !strings.Contains(errs, "trying 1 of ") {
		t.Fatalf("%d\n%s%s", code, out, errs)
	}
	if left, err := filepath.Glob(filepath.Join(folder, ".check-store-*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if code, _, errs := do(t.Context(), cli.Extra{}, "repo", "init", "--plain", "--config", file); code != 0 {
		t.Fatalf("init: %d, %s", code, errs)
	}
	code, out, errs = do(t.Context(), cli.Extra{}, "repo", "check-store", "--config", file, "-o", "json")
	fit, kept, outcomes, left := findings(t, out)
	if code != 0 || !fit || !kept || len(left) > 0 || outcomes["create_once"] != "kept" || outcomes["lock"] != "" {
		t.Errorf("%d, %s\n%s", code, errs, out)
	}
	st, err := open.Open(t.Context(), config.Repository{URL: "dir://" + folder})
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Open(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := r.StoreVerdict(t.Context()); err != nil || len(v.Probes) != len(outcomes) || v.Forbids() != nil {
		t.Errorf("%+v, %v", v, err)
	}
}

// A service that does not do what it must, in ways of our choosing, is found out; one that
// refuses deletes is fit, and what is left there is said.
func TestCheckBucket(t *testing.T) {
	service := storetest.S3(t)
	target, err := url.Parse(service.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		refuse func(*http.Request) bool
		answer func(*http.Response) // changes an answer
		code   int
		says   string // of the error
		broken string // a probe
		denied string // another
	}{
		"as it is": {},
		"no deletes": {
			refuse: func(r *http.Request) bool { return r.Method == http.MethodDelete || r.URL.Query().Has("delete") },
			code:   3, says: "could not be deleted", denied: "delete",
		},
		"no conditions": {
			answer: func(r *http.Response) {
				if r.StatusCode == http.StatusPreconditionFailed {
					r.StatusCode = http.StatusOK
				}
			},
			code: 1, says: "a second creation of a name is refused: create an object whose name is taken", broken: "create_once",
		},
		"no ranges": {
			answer: func(r *http.Response) { r.Header.Del("Content-Range") },
			code:   1, says: "a part of an object can be read", broken: "ranges",
		},
	} {
		t.Run(name, func(t *testing.T) {
			pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(target)
				r.Out.Host = r.In.Host // it is signed
			}, ModifyResponse: func(r *http.Response) error {
				if c.answer != nil {
					c.answer(r)
				}
				return nil
			}}
			proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if c.refuse != nil && c.refuse(r) {
					w.Header().Set("Content-Type", "application/xml")
					w.WriteHeader(http.StatusForbidden)
					_, _ = io.WriteString(w, "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>no</Message></Error>")
					return
				}
				pass.ServeHTTP(w, r)
			}))
			defer proxy.Close()
			code, out, errs := do(t.Context(), cli.Extra{}, "repo", "check-store", "--config", storeConfig(t, bucketLines(t, service, proxy.URL)), "-o", "json")
			fit, _, outcomes, left := findings(t, out)
			if code != c.code || !strings.Contains(errs, c.says) || fit != (c.broken == "") || (len(left) > 0) != (c.denied != "") {
				t.Errorf("%d, %s\n%s", code, errs, out)
			}
			if c.broken != "" && outcomes[c.broken] != "broken" || c.denied != "" && outcomes[c.denied] != "denied" {
				t.Errorf("%v", outcomes)
			}
		})
	}
}

// Who makes a repository in a bucket is told what the bucket does not do, and what follows;
// nothing of one that does all, nor of a folder.
func TestInitTellsWhatABucketLacks(t *testing.T) {
	for what, c := range map[string]struct {
		service storetest.Service
		says    []string
	}{
		"as it is":   {storetest.S3(t), []string{"the bucket keeps no versions: whoever has", "turn the bucket's versioning on", "the bucket has no object lock: restore points are not protected", "make a bucket with object lock"}},
		"with locks": {storetest.S3WithLocks(t), nil},
		"a folder":   {},
	} {
		lines := "  url: dir://" + t.TempDir() + "\n"
		if c.service.Bucket != "" {
			lines = bucketLines(t, c.service, c.service.Endpoint)
		}
		code, out, errs := do(t.Context(), cli.Extra{}, "repo", "init", "--plain", "--config", storeConfig(t, lines))
		if code != 0 || !strings.Contains(out, "created repository") || (errs == "") != (c.says == nil) || strings.Count(errs, "\n") != len(c.says)/2 {
			t.Errorf("%s: %d, %s\n%s", what, code, out, errs)
		}
		for _, s := range c.says {
			if !strings.Contains(errs, s) {
				t.Errorf("%s: it does not say %q: %s", what, s, errs)
			}
		}
	}
}
