package cli_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/cli"
	"ivdmover/shared/ivd"
)

// What is stored is shown by kind, with its price where there are prices.
func TestCostOfWhatIsStored(t *testing.T) {
	_, folder, config := madeEncrypted(t)
	if err := os.MkdirAll(filepath.Join(folder, "data", "d", "ab"), 0o700); err != nil {
		t.Fatal(err)
	}
	pack := filepath.Join(folder, "data", "d", "ab", strings.Repeat("ab", 32))
	if err := os.WriteFile(pack, make([]byte, 5<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := do(t.Context(), cli.Extra{}, "repo", "cost", "--config", config)
	if code != 0 || errs != "" || !strings.Contains(out, "set repository.prices") {
		t.Errorf("%d %s %s", code, out, errs)
	}
	priced := withKeys(t, config, "prices: { currency: EUR, storage: 1000 }")
	code, out, errs = do(t.Context(), cli.Extra{}, "repo", "cost", "--config", priced, "-o", "json")
	var c struct {
		Kinds []struct {
			Kind           string
			Objects, Bytes int64
		}
		Objects, Bytes int64
		Currency       string
		Month          float64
	}
	if err := json.Unmarshal([]byte(out), &c); err != nil || code != 0 {
		t.Fatalf("%d %s %s %v", code, out, errs, err)
	}
	sum, data := int64(0), int64(0)
	for _, k := range c.Kinds {
		sum += k.Bytes
		if k.Kind == "data" {
			data = k.Bytes
		}
	}
	if data != 5<<20 || sum != c.Bytes || c.Currency != "EUR" || math.Abs(c.Month-float64(c.Bytes)/1e6) > 1e-9 {
		t.Errorf("%+v", c)
	}
}

// A forecast is of the disks that the policy selects; what could not be listed is told.
func TestForecastOfAPolicy(t *testing.T) {
	_, _, config := madeEncrypted(t)
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	config = write(t, "ivd.yaml", string(text)+"policies: [{ name: nightly, select: { datastores: [\"nvme*\"], names: [\"*\"] }, keep: { daily: 14 } }]\n")
	rooms := estate()
	rooms.DiskList = []api.Disk{
		{ID: diskA, Name: "a", Datastore: "nvme-1", Capacity: 1 << 40},
		{ID: diskB, Name: "b", Datastore: "nfs", Capacity: 1 << 40},
		{ID: "x", Name: "half-written", Datastore: "nvme-1", Capacity: 1 << 40, Unfinished: "a-run"},
	}
	url := serve(t, rooms)
	ask := func(args ...string) (int, string, string) {
		return do(t.Context(), cli.Extra{}, append([]string{"repo", "cost", "--config", config, "--server", url}, args...)...)
	}
	code, out, errs := ask("--policy", "nightly", "--used", "40%", "--change", "1%", "-o", "json")
	var f struct {
		Disks    int
		Capacity int64
		Price    *struct{}
		Month    struct{ Points int } `json:"twelfth_month"`
	}
	if err := json.Unmarshal([]byte(out), &f); err != nil || code != 0 || errs != "" || f.Disks != 1 || f.Capacity != 1<<40 || f.Month.Points != 14 || f.Price != nil {
		t.Errorf("%d %s %s %v", code, out, errs, err)
	}
	rooms.DiskList = append(rooms.DiskList, api.Disk{Datastore: "old", Failure: &ivd.Failure{Message: "away"}})
	code, out, errs = ask("--policy", "nightly")
	if code != 3 || !strings.Contains(out, "policy nightly: 1 disks of 1.00 TiB") || !strings.Contains(out, "set repository.prices") || !strings.Contains(errs, "the forecast lacks") {
		t.Errorf("%d %s %s", code, out, errs)
	}
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{1, "the configuration has: nightly", []string{"--policy", "weekly"}},
		{2, "--change is of a forecast: give --policy", []string{"--change", "3%"}},
		{2, "want 0% to 100%", []string{"--policy", "nightly", "--used", "120%"}},
		{2, "runs a day", []string{"--policy", "nightly", "--runs-per-day", "0"}},
		{2, "used", []string{"--policy", "nightly", "--used", "much"}},
	} {
		if code, _, errs := ask(c.args...); code != c.code || !strings.Contains(errs, c.says) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%v: %d %s", c.args, code, errs)
		}
	}
}
