package api_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/api/apitest"
	"ivdmover/shared/ivd"
)

func view(state api.State, read int64) api.RunDetail {
	v := api.RunDetail{Run: api.Run{ID: runA, State: state}}
	v.Stats.ReadBytes = read
	return v
}

func TestWatchEndsWithTheRun(t *testing.T) {
	rooms := &apitest.Rooms{}
	rooms.Put(view(api.Running, 1))
	client, _ := serve(t, rooms, api.Options{})
	var seen []int64
	for v, err := range client.Watch(t.Context(), runA) {
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, v.Stats.ReadBytes)
		if v.Stats.ReadBytes == 1 {
			// A burst: only its last may be shown, and that must be.
			for i := range int64(50) {
				rooms.Put(view(api.Running, 2+i))
			}
			rooms.Put(view(api.Partial, 100))
		}
	}
	if len(seen) > 10 || seen[len(seen)-1] != 100 {
		t.Errorf("saw %v", seen)
	}
}

// Each yield of a watch has all disks, although changes alone are sent, and is the
// caller's to keep.
func TestWatchPutsChangesTogether(t *testing.T) {
	rooms := &apitest.Rooms{}
	v := view(api.Running, 1)
	v.Disks = []api.RunDisk{{Key: "a", Step: api.Moving}, {Key: "b", Step: api.Waiting}}
	rooms.Put(v)
	client, _ := serve(t, rooms, api.Options{})
	var first, last api.RunDetail
	for v, err := range client.Watch(t.Context(), runA) {
		if err != nil {
			t.Fatal(err)
		}
		if last = v; first.ID == "" {
			first = v
			end := view(api.Done, 2)
			end.Disks = []api.RunDisk{{Key: "b", Step: api.Ended, Result: api.Done}}
			rooms.Put(end)
		}
	}
	if len(first.Disks) != 2 || first.Disks[1].Step != api.Waiting {
		t.Errorf("first: %+v", first.Disks)
	}
	if len(last.Disks) != 2 || last.Disks[0].Step != api.Moving || last.Disks[1].Result != api.Done || last.State != api.Done {
		t.Errorf("last: %+v", last)
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	rooms := &apitest.Rooms{}
	rooms.Put(view(api.Running, 1))
	client, _ := serve(t, rooms, api.Options{})
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	stop := errors.New("enough")
	var last error
	for _, err := range client.Watch(ctx, runA) {
		last = err
		cancel(stop)
	}
	if !errors.Is(last, stop) {
		t.Errorf("%v", last)
	}
}

func TestWatchOutlivesAServer(t *testing.T) {
	rooms := &apitest.Rooms{}
	rooms.Put(view(api.Running, 1))
	listen := "127.0.0.1:0"
	start := func() (func(), string) {
		server, err := api.Open(api.Options{Listen: listen, Token: token}, rooms.All())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- server.Serve(ctx) }()
		return func() { cancel(); <-done }, server.URL()
	}
	stop, url := start()
	listen = strings.TrimPrefix(url, "http://")
	client, err := api.NewClient(api.ClientOptions{Server: url, Token: token, Patience: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var seen []int64
	for v, err := range client.Watch(t.Context(), runA) {
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, v.Stats.ReadBytes)
		if len(seen) == 1 {
			stop()
			stop, _ = start()
			rooms.Put(view(api.Done, 2))
		}
	}
	stop()
	if len(seen) != 2 || seen[1] != 2 {
		t.Errorf("saw %v", seen)
	}
}

func TestWatchOfAnUnknownRunEndsAtOnce(t *testing.T) {
	client, _ := serve(t, &apitest.Rooms{}, api.Options{})
	var errs []error
	for _, err := range client.Watch(t.Context(), "none") {
		errs = append(errs, err)
	}
	if len(errs) != 1 || ivd.KindOf(errs[0]) != ivd.NotFound {
		t.Errorf("%v", errs)
	}
}

func TestNoServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	client, err := api.NewClient(api.ClientOptions{Server: "http://" + address, Patience: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Runs(t.Context())
	if want := "no answer from http://" + address + ": connection refused"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if !strings.Contains(ivd.RemedyOf(err), "is `ivd serve` running?") {
		t.Errorf("remedy %q", ivd.RemedyOf(err))
	}
	for _, err := range client.Watch(t.Context(), runA) {
		if ivd.KindOf(err) != ivd.Transient {
			t.Errorf("%v", err)
		}
	}
}

func TestAnotherServer(t *testing.T) {
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	client, err := api.NewClient(api.ClientOptions{Server: other.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	_, err = client.Runs(t.Context())
	if err == nil || !strings.Contains(err.Error(), `answered "404 Not Found", which `) {
		t.Errorf("%v", err)
	}
}

func TestClientOptions(t *testing.T) {
	for _, o := range []api.ClientOptions{
		{Server: "127.0.0.1:8440"},
		{Server: "ftp://x"},
		{Server: "http://ivd.example:8440", Token: "t"},
		{Server: "https://ivd.example", CAFile: "/none"},
	} {
		if _, err := api.NewClient(o); ivd.KindOf(err) != ivd.Invalid || ivd.RemedyOf(err) == "" {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
