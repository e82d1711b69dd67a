package cli_test

import (
	"strings"
	"testing"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/cli"
	"ivdmover/shared/ivd"
)

// A list marks the points that are damaged, a check ends with 3 for them, and one of
// them says what is lost.
func TestDamagedPoints(t *testing.T) {
	rooms := estate()
	rooms.PointList = rooms.PointList[:2] // the third cannot be read
	url := serve(t, rooms)
	run := func(args ...string) (int, string, string) {
		return do(t.Context(), cli.Extra{}, append(args, "--server", url)...)
	}
	if code, out, errs := run("points", "--check"); code != 0 || errs != "" || strings.Contains(out, "damaged") {
		t.Errorf("whole points: %d %q %q", code, out, errs)
	}
	rooms.PointList[0].Damaged = []ivd.PackID{{1}, {2}}
	rooms.PointList[1].Unchecked = true
	id := rooms.PointList[0].ID
	d := rooms.Details[id]
	d.Lost = []ivd.Extent{{Offset: 4096, Length: 1 << 20}}
	rooms.Details = map[ivd.PointID]api.PointDetail{id: d}
	short := rooms.PointList[0].ShortID
	if _, help, _ := run("points", "--help"); !strings.Contains(help, "exit code of a check is 3") || !strings.Contains(help, "without --check, known damage is shown, and the exit code stays 0") {
		t.Errorf("the help does not say when the exit code is 3:\n%s", help)
	}
	for check, want := range map[string]int{"--check=false": 0, "--check": 3} {
		code, out, errs := run("points", check)
		if code != want || (errs != "") != (want == 3) {
			t.Errorf("%s: exit code %d, %q", check, code, errs)
		}
		for _, part := range []string{" (damaged)", "\n  " + short + ": 2 packs\n", "not known of 1 points: `ivd points --check`"} {
			if strings.Count(out, part) != 1 {
				t.Errorf("%s lacks %q:\n%s", check, part, out)
			}
		}
	}
	if _, out, _ := run("points", "-o", "json"); strings.Count(out, `"damaged": [`) != 1 || strings.Count(out, `"unchecked": true`) != 1 {
		t.Errorf("as JSON:\n%s", out)
	}
	if _, out, _ := run("point", "show", short); !strings.Contains(out, "missing or wrong: 2\n") || !strings.Contains(out, "1.00 MiB: bytes 4096 to 1052672\n") {
		t.Errorf("one point:\n%s", out)
	}
}
