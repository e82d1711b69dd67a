package cli_test

import (
	"context"
	"errors"
	"testing"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/cli"
	"ivdmover/shared/ivd"
)

// While the coordinator waits for what it needs to begin, every command says for what, in
// one line.
func TestCommandsWhileTheCoordinatorStarts(t *testing.T) {
	server, err := api.OpenEarly(api.Options{Listen: "127.0.0.1:0", Token: token})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	for _, say := range []struct {
		why  error
		want string
	}{
		{nil, "ivd: `ivd serve` is starting; ask again in a moment\n"},
		{&ivd.Error{Kind: ivd.Transient, Err: errors.New("it waits for\nthe queue"), Remedy: "start it"}, "ivd: it waits for the queue; start it\n"},
	} {
		if say.why != nil {
			server.Waits(say.why)
		}
		for _, args := range [][]string{{"movers"}, {"runs"}, {"disks"}, {"points"}, {"run", "show", string(runA)}, {"backup", "--all"}, {"repo", "info"}} {
			code, out, errs := do(t.Context(), cli.Extra{}, append(args, "--server", server.URL())...)
			if code != 1 || out != "" || errs != say.want {
				t.Errorf("%v: %d %q %q, want %q", args, code, out, errs, say.want)
			}
		}
	}
	rooms := estate()
	server.Answer(rooms.All())
	if code, _, errs := do(t.Context(), cli.Extra{}, "movers", "--server", server.URL()); code != 0 {
		t.Errorf("once it has begun: %d %q", code, errs)
	}
}
