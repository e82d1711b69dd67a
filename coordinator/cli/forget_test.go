package cli_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/api/apitest"
	"ivdmover/coordinator/catalogue"
	"ivdmover/coordinator/cli"
	"ivdmover/shared/ivd"
)

// keeping is an estate with a policy that keeps one of two points.
func keeping() *apitest.Rooms {
	rooms := estate()
	for _, v := range []api.Verdict{
		{ID: pointA, Time: evening, Stays: true, Reasons: []string{"daily 1 of 14", "the last good point of its disk"}},
		{ID: pointB, Time: evening.Add(-24 * time.Hour), Reasons: []string{"policy nightly keeps it by none of its rules"}},
	} {
		v.ShortID, v.Disk, v.Name, v.VCenter, v.Policy = catalogue.Short(v.ID), diskA, "data-01", "lab", "nightly"
		rooms.Verdicts = append(rooms.Verdicts, v)
	}
	return rooms
}

// What is said of each point, before and after, to people and to programs.
func TestForget(t *testing.T) {
	rooms := keeping()
	url := serve(t, rooms)
	a, b := catalogue.Short(pointA), catalogue.Short(pointB)
	for line, want := range map[string]struct {
		code      int
		out, errs string
	}{
		"--policy nightly --dry-run": {0, "goes     policy nightly keeps it by none of its rules\n\nto be forgotten: 1; stay: 1\n", ""},
		"--policy nightly --yes":     {0, "forgotten  policy nightly keeps it by none of its rules\n\nforgotten: 1; stay: 1\n", ""},
		"--yes " + a:                 {1, "forgotten: 0; stay: 1\n", "ivd: restore point " + a + " stays: daily 1 of 14; the last good point of its disk\n"},
		"--yes " + a + " " + b:       {3, "forgotten: 1; stay: 1\n", "ivd: restore point " + a + " stays: "},
		"--yes data-01@latest":       {1, "forgotten: 0; stay: 1\n", "stays: "},
		"--yes " + b:                 {0, "forgotten: 1; stay: 0\n", ""},
		"--dry-run " + a:             {1, "to be forgotten: 0; stay: 1\n", "stays: "},
		"--policy nightly":           {2, "", "nobody is here to be asked; see with --dry-run"},
	} {
		code, out, errs := do(t.Context(), cli.Extra{}, append([]string{"forget", "--server", url}, strings.Fields(line)...)...)
		if code != want.code || !strings.HasSuffix(out, want.out) || !strings.Contains(errs, want.errs) || want.errs == "" && errs != "" {
			t.Errorf("ivd forget %s: %d, %q, %q", line, code, out, errs)
		}
	}
	if slices.ContainsFunc(rooms.Forgets, func(r api.ForgetRequest) bool { return r.Policy != "" && len(r.Points) > 0 }) {
		t.Errorf("asked for was %+v", rooms.Forgets)
	}
	code, out, _ := do(t.Context(), cli.Extra{}, "forget", "--server", url, "--policy", "nightly", "--yes", "-o", "json")
	var verdicts []api.Verdict
	if err := json.Unmarshal([]byte(out), &verdicts); err != nil || code != 0 || len(verdicts) != 2 || verdicts[0].Forgotten || !verdicts[1].Forgotten || verdicts[1].ID != pointB {
		t.Errorf("%d, %v: %s", code, err, out)
	}
}

// On a terminal a person sees first what would become of the points, and only yes is a
// consent: to what was shown, and to nothing that came meanwhile.
func TestForgetAsks(t *testing.T) {
	for answer, want := range map[string]int{"y": 0, "yes": 0, "": 1, "n": 1, "maybe": 1} {
		rooms := keeping()
		term, out, finish := onTerminal(t, "forget", "--policy", "nightly", "--server", serve(t, rooms))
		term.Await("question", func(s string) bool {
			return strings.Contains(s, "to be forgotten: 1; stay: 1") && strings.HasSuffix(strings.TrimRight(s, " \n"), "Forget 1 restore points? [y/N]")
		})
		term.Type(answer + "\n")
		if code := finish(); code != want {
			t.Errorf("%q: exit code %d, want %d", answer, code, want)
		}
		asked := rooms.Forgets
		if !asked[0].DryRun || want == 1 && len(asked) > 1 {
			t.Errorf("%q: asked for was %+v", answer, asked)
		}
		if want == 0 && (len(asked) != 2 || asked[1].DryRun || asked[1].Policy != "nightly" || !slices.Equal(asked[1].Points, []ivd.PointID{pointB}) || !strings.Contains(out.String(), "forgotten: 1")) {
			t.Errorf("%q: asked for was %+v, and said %s", answer, asked, out)
		}
	}
	// What was named by hand is asked for by id the second time: its name may be another's by now.
	rooms := keeping()
	term, _, finish := onTerminal(t, "forget", "data-01@latest", catalogue.Short(pointB), "--server", serve(t, rooms))
	term.Await("question", func(s string) bool { return strings.Contains(s, "[y/N]") })
	term.Type("y\n")
	finish()
	ids := []ivd.PointID{rooms.Verdicts[0].ID, rooms.Verdicts[1].ID}
	if len(rooms.Forgets) != 2 || !slices.Equal(rooms.Forgets[1].Points, ids) {
		t.Errorf("asked for was %+v", rooms.Forgets)
	}
	rooms = keeping()
	rooms.Verdicts = rooms.Verdicts[:1]
	_, out, finish := onTerminal(t, "forget", "--policy", "nightly", "--server", serve(t, rooms))
	if code := finish(); code != 0 || len(rooms.Forgets) != 1 || !strings.Contains(out.String(), "to be forgotten: 0; stay: 1") {
		t.Errorf("with nothing to forget: %d, %+v, %s", code, rooms.Forgets, out)
	}
}

// Points are pinned and held by what people call them, until when they say.
func TestPinsAndHolds(t *testing.T) {
	rooms := estate()
	url := serve(t, rooms)
	until := func(day, hour int) string {
		return time.Date(2027, time.January, day, hour, 0, 0, 0, time.Local).UTC().Format(time.RFC3339)
	}
	for line, want := range map[string]string{
		"pin data-01@latest --reason upgrade":                        ", is pinned; pinned: upgrade\n",
		"unpin " + catalogue.Short(pointA):                           ", is no longer pinned\n",
		"hold data-01@latest --until 2027-01-31 --reason case":       ", is held; held until " + until(32, 0) + ": case\n",
		"hold data-01@latest --until 2027-01-31T12:00 --reason case": ", is held; held until " + until(31, 12) + ": case\n",
		"hold data-01@latest --until 2027-01-31T12:00Z --reason x":   ", is held; held until 2027-01-31T12:00:00Z: x\n",
		"release " + catalogue.Short(pointA) + " --reason settled":   ", is no longer held\n",
	} {
		code, out, errs := do(t.Context(), cli.Extra{}, append(strings.Fields(line), "--server", url)...)
		if code != 0 || errs != "" || !strings.HasPrefix(out, "restore point "+catalogue.Short(pointA)+" of data-01, ") || !strings.HasSuffix(out, want) {
			t.Errorf("ivd %s: %d, %q, %q", line, code, out, errs)
		}
	}
	if len(rooms.Keeps) != 6 || slices.ContainsFunc(rooms.Keeps, func(r api.KeepRequest) bool { return r.Point != pointA }) {
		t.Errorf("asked for was %+v", rooms.Keeps)
	}
	rooms.Err = ivd.Errorf(ivd.Unmet, "it is not pinned")
	if code, _, errs := do(t.Context(), cli.Extra{}, "unpin", catalogue.Short(pointA), "--server", url); code != 1 || !strings.Contains(errs, "it is not pinned") {
		t.Errorf("%d, %q", code, errs)
	}
}

// Points that were forgotten are shown on request, and marked; what keeps one is shown.
func TestPointsThatAreForgotten(t *testing.T) {
	rooms := estate()
	rooms.PointList[0].GivenUp, rooms.PointList[0].Forgotten = true, &api.Forgotten{Time: evening, Reason: "policy nightly keeps it by none of its rules", Run: runA}
	rooms.PointList[1].Kept = "held until 2027-01-31T22:00:00Z: case"
	rooms.PointList = rooms.PointList[:2]
	url := serve(t, rooms)
	_, out, _ := do(t.Context(), cli.Extra{}, "points", "--server", url)
	if strings.Contains(out, catalogue.Short(pointB)) || !strings.Contains(out, "(held until 2027-01-31T22:00:00Z)") {
		t.Errorf("points:\n%s", out)
	}
	_, out, _ = do(t.Context(), cli.Extra{}, "points", "--all", "--server", url)
	if !strings.Contains(out, catalogue.Short(pointB)) || !strings.Contains(out, "(forgotten)") {
		t.Errorf("points --all:\n%s", out)
	}
	_, out, _ = do(t.Context(), cli.Extra{}, "point", "show", catalogue.Short(pointB), "--server", url)
	if !strings.Contains(out, "policy nightly keeps it by none of its rules, "+string(runA)) {
		t.Errorf("point show:\n%s", out)
	}
	run := backup(api.Done)
	run.Forgotten, run.NotForgotten = []ivd.PointID{pointB}, "the store is away"
	rooms.Put(run)
	_, out, _ = do(t.Context(), cli.Extra{}, "run", "show", string(run.ID), "--server", url)
	if !strings.Contains(out, "1 restore points that the policy does not keep") || !strings.Contains(out, "the store is away") {
		t.Errorf("run show:\n%s", out)
	}
}

// Until when points are locked in the store is shown where some are, and only there.
func TestPointsThatAreProtected(t *testing.T) {
	rooms := estate()
	rooms.PointList = rooms.PointList[:2]
	url := serve(t, rooms)
	if code, out, _ := do(t.Context(), cli.Extra{}, "points", "--server", url); code != 0 || strings.Contains(out, "PROTECTED") {
		t.Errorf("nothing is locked: %d, %q", code, out)
	}
	rooms.PointList[0].ProtectedUntil = time.Date(2027, 3, 4, 0, 0, 0, 0, time.UTC)
	code, out, _ := do(t.Context(), cli.Extra{}, "points", "--server", url)
	if lines := strings.Split(out, "\n"); code != 0 || !strings.HasSuffix(lines[0], "PROTECTED UNTIL") || !strings.Contains(out, "2027-03-04") {
		t.Errorf("one is locked: %d, %q", code, out)
	}
	if code, out, _ := do(t.Context(), cli.Extra{}, "points", "-o", "json", "--server", url); code != 0 || strings.Count(out, `"protected_until": "2027-03-04T00:00:00Z"`) != 1 {
		t.Errorf("as JSON: %d, %q", code, out)
	}
}
