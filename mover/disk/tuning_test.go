package disk

import (
	"strconv"
	"testing"
)

// A request over the network fills one of the buffers that the library is
// configured with, and there are requests for all of them, on both sides.
func TestARequestFillsABuffer(t *testing.T) {
	value := func(name string) int {
		t.Helper()
		for _, s := range recommended {
			if s.name == name {
				n, err := strconv.Atoi(s.value)
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
		}
		t.Fatalf("no line %s", name)
		return 0
	}
	for _, mode := range []string{nbdssl, nbd} {
		got, want := tuningOf(mode), Tuning{Depth: 2 * value(bufferCount), Request: int64(value(bufferSize)) * 64 << 10}
		if got != want {
			t.Errorf("%s: %+v, want %+v", mode, got, want)
		}
	}
}

func TestTuningIsTheTransports(t *testing.T) {
	for mode, want := range map[string]Tuning{
		san: {2, 2 << 20}, hotadd: {2, 2 << 20}, file: {2, 1 << 20}, nbdssl: {8, 1 << 20}, "of tomorrow": {8, 1 << 20},
	} {
		if got := tuningOf(mode); got != want {
			t.Errorf("%s: %+v, want %+v", mode, got, want)
		}
	}
	for _, c := range []struct {
		modes []string
		want  int64
	}{{[]string{nbdssl}, 1 << 20}, {[]string{san, nbdssl}, 2 << 20}, {[]string{nbdssl, hotadd}, 2 << 20}, {nil, 0}} {
		if got := LargestRequest(c.modes); got != c.want {
			t.Errorf("%v: %d, want %d", c.modes, got, c.want)
		}
	}
}
