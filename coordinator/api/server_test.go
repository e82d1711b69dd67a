package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/api/apitest"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	diskA  = "0b7c9d4e-1111-4222-8333-444455556666"
	runA   = ivd.RunID("20261124t231500z-1f0c2a9b")
	pointA = ivd.PointID("7d1f6a52-0000-4000-8000-00000000d0a1/lab/" + diskA + "/20261124T231500Z-20261124t231500z-1f0c2a9b")
)

// token lets the tests' requests in.
const token = "let-me-in"

// bearer sends the token with the requests of http.DefaultClient.
type bearer struct{ *http.Transport }

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header.Set("Authorization", "Bearer "+token)
	return b.Transport.RoundTrip(r)
}

func init() { http.DefaultClient.Transport = bearer{http.DefaultTransport.(*http.Transport)} }

// serve starts a server on loopback and a client of it.
func serve(t *testing.T, rooms *apitest.Rooms, o api.Options) (*api.Client, string) {
	t.Helper()
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.TokensFile == "" {
		o.Token = token
	}
	server, err := api.Open(o, rooms.All())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx) }()
	client, err := api.NewClient(api.ClientOptions{Server: server.URL(), Token: token, Patience: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return client, server.URL()
}

func TestListsAreArraysAndNullsAreThere(t *testing.T) {
	rooms := &apitest.Rooms{DiskList: []api.Disk{{ID: diskA, Name: "data"}}, MoverList: []job.Mover{{Name: "proxy-1", PublicKey: []byte("k")}}}
	_, url := serve(t, rooms, api.Options{})
	for path, want := range map[string]string{
		"/api/v1/runs":                      `[]`,
		"/api/v1/points":                    `[]`,
		"/api/v1/snapshots":                 `[]`,
		"/api/v1/disks?datastore=other":     `[]`,
		"/api/v1/disks":                     `"attached_to":[],"cbt":false,"thin":false,"encrypted":false,"last_point":null`,
		"/api/v1/movers":                    `"draining":false,"vddk":"","transports":[],"active":[]`,
		"/api/v1/version":                   `"api":1`,
		"/api/v1/disks?unprotected=perhaps": `"error":{"kind":"invalid"`,
		"/api/v1/points?disk=nothing":       `"error":{"kind":"not_found"`,
		"/api/v1/points/x/y":                `"error":{"kind":"invalid"`,
		"/api/v1/points/" + string(pointA):  `"error":{"kind":"not_found"`,
		"/api/v1/runs/none":                 `"error":{"kind":"not_found","message":"no run none","remedy"`,
		"/api/v1/runs/none/events":          `"error":{"kind":"not_found"`,
		"/api/v1/runs/none/disks":           `"error":{"kind":"not_found"`,
		"/api/v1/runs?limit=0":              `"error":{"kind":"invalid"`,
		"/api/v1/runs?limit=many":           `"error":{"kind":"invalid"`,
		"/api/v1/runs?after=none":           `"error":{"kind":"not_found"`,
		"/v2":                               `"error":{"kind":"not_found"`,
	} {
		if got := squeeze(get(t, url+path)); !strings.Contains(got, want) {
			t.Errorf("GET %s = %s, want %s in it", path, got, want)
		}
	}
	if got := get(t, url+"/api/v1/movers"); strings.Contains(got, "public_key") {
		t.Errorf("a mover's key is nobody's business: %s", got)
	}
}

// A datastore's id means nothing to people: its name stands beside it where its own
// vCenter tells it.
func TestPathsHaveNames(t *testing.T) {
	rooms := &apitest.Rooms{
		DiskList: []api.Disk{{ID: diskA, VCenter: "lab", DatastoreID: "datastore-52", Datastore: "nvme-1"}},
		MoverList: []job.Mover{{Name: "proxy-1", Paths: []job.Path{
			{Source: "lab", Datastore: "datastore-52", Transport: "san"}, {Source: "other", Datastore: "datastore-52", Transport: "san"},
		}}},
	}
	_, url := serve(t, rooms, api.Options{})
	want := `"paths":[{"source":"lab","datastore":"datastore-52","transport":"san","vcenter":"lab","datastore_name":"nvme-1"},{"source":"other","datastore":"datastore-52","transport":"san","vcenter":"other"}]`
	if got := squeeze(get(t, url+"/api/v1/movers")); !strings.Contains(got, want) {
		t.Errorf("%s, want %s in it", got, want)
	}
}

func TestStatusFollowsKind(t *testing.T) {
	for kind, want := range map[ivd.Kind]int{
		ivd.Invalid: 400, ivd.Denied: 403, ivd.NotFound: 404, ivd.Exists: 409, ivd.Unmet: 409, ivd.Locked: 423,
		ivd.Full: 507, ivd.Unsupported: 501, ivd.Transient: 503, ivd.Permanent: 500, ivd.Corrupt: 500, ivd.Unknown: 500,
	} {
		rooms := &apitest.Rooms{Err: &ivd.Error{Kind: kind, Err: errors.New("so it is"), Remedy: "do this"}}
		client, url := serve(t, rooms, api.Options{})
		response, err := http.Get(url + "/api/v1/disks")
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		http.DefaultClient.CloseIdleConnections()
		if response.StatusCode != want {
			t.Errorf("%q: status %d, want %d", kind, response.StatusCode, want)
		}
		_, err = client.Disks(t.Context(), api.DiskQuery{})
		if ivd.KindOf(err) != kind || ivd.RemedyOf(err) != "do this" || err.Error() != "so it is" {
			t.Errorf("%q came to the client as %q: %v; %s", kind, ivd.KindOf(err), err, ivd.RemedyOf(err))
		}
	}
}

func TestWrongRequests(t *testing.T) {
	_, url := serve(t, &apitest.Rooms{}, api.Options{})
	for name, c := range map[string]struct {
		method, path, body, want string
		status                   int
	}{
		"unknown field":    {"POST", "/api/v1/backups", `{"everything":true}`, `unknown field \"everything\"`, 400},
		"nothing":          {"POST", "/api/v1/backups", ``, "empty", 400},
		"two values":       {"POST", "/api/v1/backups", `{"all":true}{}`, "more than one", 400},
		"no disks":         {"POST", "/api/v1/backups", `{}`, "exactly one", 400},
		"two ways":         {"POST", "/api/v1/backups", `{"all":true,"policy":"p"}`, "exactly one", 400},
		"no disk id":       {"POST", "/api/v1/backups", `{"disks":["x"]}`, "no disk x", 404},
		"no point":         {"POST", "/api/v1/restores", `{"point":"x"}`, "restore point", 400},
		"wrong method":     {"PUT", "/api/v1/runs", ``, "PUT is not for", 405},
		"unknown run":      {"POST", "/api/v1/runs/x/cancel", ``, "no run x", 404},
		"too large a body": {"POST", "/api/v1/backups", `{"policy":"` + strings.Repeat("x", 2<<20) + `"}`, "too large", 400},
	} {
		request, err := http.NewRequest(c.method, url+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		status, got := do(t, request)
		if status != c.status || !strings.Contains(got, c.want) {
			t.Errorf("%s: %d %s, want %d with %q", name, status, got, c.status, c.want)
		}
	}
}

func TestStartsAreAnsweredWithTheRun(t *testing.T) {
	rooms := &apitest.Rooms{Next: api.RunDetail{Run: api.Run{ID: runA, State: api.Running}}}
	client, url := serve(t, rooms, api.Options{})
	v, err := client.Backup(t.Context(), api.BackupRequest{Disks: []string{strings.ToUpper(diskA)}, Full: true})
	if err != nil || v.ID != runA || v.Kind != job.Backup {
		t.Fatalf("Backup = %+v, %v", v, err)
	}
	if got := rooms.Backups[0]; len(got.Disks) != 1 || got.Disks[0] != diskA || !got.Full {
		t.Errorf("the room was asked for %+v", got)
	}
	if _, err = client.Restore(t.Context(), api.RestoreRequest{Point: pointA, Name: "new", NoLease: true}); err != nil {
		t.Fatal(err)
	}
	if got := rooms.Restores[0]; got.Point != pointA || got.Name != "new" || !got.NoLease {
		t.Errorf("the room was asked for %+v", got)
	}
	if v, err = client.Cancel(t.Context(), runA); err != nil || !v.Cancelling {
		t.Errorf("Cancel = %+v, %v", v, err)
	}
	request, _ := http.NewRequest("POST", url+"/api/v1/backups", strings.NewReader(`{"all":true}`))
	if status, _ := do(t, request); status != http.StatusAccepted {
		t.Errorf("a start is answered with %d", status)
	}
}

func TestTokens(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte("# who may\n\none the-night-shift\n two \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, url := serve(t, &apitest.Rooms{}, api.Options{TokensFile: file})
	for token, want := range map[string]ivd.Kind{"one": "", "two": "", "": ivd.Denied, "on": ivd.Denied, "# who may": ivd.Denied, "#": ivd.Denied, "the-night-shift": ivd.Denied} {
		client, err := api.NewClient(api.ClientOptions{Server: url, Token: ivd.Secret(token)})
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Runs(t.Context())
		client.Close()
		if ivd.KindOf(err) != want {
			t.Errorf("token %q: %v", token, err)
		}
	}
}

// On loopback, too, nobody is let in without a token: that of the server's own user is
// in a file, which is read anew when the server was started again.
func TestTokenOfTheSameUser(t *testing.T) {
	file := filepath.Join(t.TempDir(), "api.token")
	client, err := api.NewClient(api.ClientOptions{Server: "http://127.0.0.1:1", TokenFile: file})
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
	for _, now := range []ivd.Secret{"first", "second"} {
		server, err := api.Open(api.Options{Listen: "127.0.0.1:0", Token: now}, (&apitest.Rooms{}).All())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- server.Serve(ctx) }()
		client, err := api.NewClient(api.ClientOptions{Server: server.URL(), TokenFile: file})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Runs(t.Context()); ivd.KindOf(err) != ivd.Denied || ivd.RemedyOf(err) == "" {
			t.Errorf("without the token: %v", err)
		}
		if err := os.WriteFile(file, []byte(now.Reveal()+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Runs(t.Context()); err != nil {
			t.Errorf("with the token: %v", err)
		}
		client.Close()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if _, err := api.NewClient(api.ClientOptions{Server: "http://ivd.example:8440", TokenFile: file}); ivd.KindOf(err) != ivd.Invalid {
		t.Errorf("to another machine: %v", err)
	}
}

func TestOtherSitesAreKeptOut(t *testing.T) {
	_, url := serve(t, &apitest.Rooms{Next: api.RunDetail{Run: api.Run{ID: runA}}}, api.Options{})
	for name, change := range map[string]func(*http.Request){
		"another origin":     func(r *http.Request) { r.Header.Set("Origin", "https://elsewhere.example") },
		"a cross-site fetch": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"a rebound name":     func(r *http.Request) { r.Host = "rebound.example:8440" },
	} {
		request, _ := http.NewRequest("POST", url+"/api/v1/backups", strings.NewReader(`{"all":true}`))
		change(request)
		if status, body := do(t, request); status != http.StatusForbidden {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
}

func TestOnlyLoopbackWithoutTLS(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("# nobody\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]api.Options{
		"everywhere":    {Listen: "0.0.0.0:0", Token: token},
		"no host":       {Listen: ":0", Token: token},
		"no port":       {Listen: "127.0.0.1", Token: token},
		"no token":      {Listen: "127.0.0.1:0"},
		"empty tokens":  {Listen: "127.0.0.1:0", Token: token, TokensFile: empty},
		"absent tokens": {Listen: "127.0.0.1:0", TokensFile: empty + "-not"},
		"absent key":    {Listen: "127.0.0.1:0", Token: token, CertFile: empty},
	} {
		server, err := api.Open(o, (&apitest.Rooms{}).All())
		if err == nil {
			_ = server.Close()
		}
		if ivd.KindOf(err) != ivd.Invalid || ivd.RemedyOf(err) == "" {
			t.Errorf("%s: %v; %s", name, err, ivd.RemedyOf(err))
		}
	}
}

func TestAddressInUse(t *testing.T) {
	_, url := serve(t, &apitest.Rooms{}, api.Options{})
	_, err := api.Open(api.Options{Token: token, Listen: strings.TrimPrefix(url, "http://")}, (&apitest.Rooms{}).All())
	if ivd.KindOf(err) != ivd.Exists || !strings.Contains(err.Error(), strings.TrimPrefix(url, "http://")) {
		t.Errorf("%v", err)
	}
}

// A long list comes in pages, whole and in order; who asks for all gets all.
func TestLongListsComeInPages(t *testing.T) {
	v := api.RunDetail{Run: api.Run{ID: runA, State: api.Done}}
	for i := range 11 {
		v.Disks = append(v.Disks, api.RunDisk{Key: fmt.Sprintf("%02d", i), Step: api.Ended, Result: api.Done})
	}
	rooms := &apitest.Rooms{}
	rooms.Put(v)
	client, url := serve(t, rooms, api.Options{})
	path := "/api/v1/runs/" + string(runA) + "/disks?limit=4"
	var keys []string
	for pages := 1; path != ""; pages++ {
		response, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		var disks []api.RunDisk
		err = json.NewDecoder(response.Body).Decode(&disks)
		_ = response.Body.Close()
		http.DefaultClient.CloseIdleConnections()
		if err != nil || len(disks) > 4 || pages > 3 {
			t.Fatalf("page %d has %d disks: %v", pages, len(disks), err)
		}
		for _, d := range disks {
			keys = append(keys, d.Key)
		}
		path, _ = strings.CutSuffix(strings.TrimPrefix(response.Header.Get("Link"), "<"), `>; rel="next"`)
	}
	if !slices.IsSorted(keys) || len(keys) != 11 {
		t.Errorf("the pages have %v", keys)
	}
	all, err := client.RunDetail(t.Context(), runA)
	if err != nil || len(all.Disks) != 11 || all.Counts.Done != 11 {
		t.Errorf("%+v: %v", all, err)
	}
	if runs := get(t, url+"/api/v1/runs"); strings.Contains(runs, `"key"`) || !strings.Contains(squeeze(runs), `"counts":{"disks":11,"waiting":0,"working":0,"done":11`) {
		t.Errorf("the list of runs has %s", runs)
	}
}

// What is sent of a run is its disks once and then those that have changed, as the
// events of any client of this kind.
func TestEventsSayWhatHasChanged(t *testing.T) {
	rooms := &apitest.Rooms{}
	rooms.Put(api.RunDetail{Run: api.Run{ID: runA, State: api.Done}, Disks: []api.RunDisk{{Key: "a", Name: "line\nend"}}})
	_, url := serve(t, rooms, api.Options{})
	got := get(t, url+"/api/v1/runs/"+string(runA)+"/events")
	lines := strings.Split(got, "\n")
	if len(lines) != 7 || lines[0] != "event: disk" || !strings.HasPrefix(lines[1], `data: {"key":"a",`) || lines[2] != "" ||
		lines[3] != "event: run" || !strings.HasPrefix(lines[4], `data: {"id":"`) || lines[5] != "" || lines[6] != "" {
		t.Errorf("%q", lines)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, body := do(t, request)
	return body
}

func do(t *testing.T, request *http.Request) (int, string) {
	t.Helper()
	defer http.DefaultClient.CloseIdleConnections()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// squeeze takes the indentation out of JSON.
func squeeze(s string) string {
	var v json.RawMessage
	if json.Unmarshal([]byte(s), &v) != nil {
		return s
	}
	b, _ := json.Marshal(v)
	return string(b)
}
