package cli_test

import (
	"encoding/json"
	"strings"
	"testing"

	"ivdmover/coordinator/cli"
)

// A domain is made by who has the passphrase, is listed, and is worked in by who names it;
// one that does not exist is refused with what makes it.
func TestDomains(t *testing.T) {
	h := newKeyHouse(t)
	run := func(args ...string) (int, string, string) {
		return do(t.Context(), cli.Extra{}, append([]string{"repo"}, args...)...)
	}
	code, out, errs := run("domain", "add", "tenant-2", "--config", h.config, "--passphrase-file", h.passphrase)
	if code != 0 || errs != "" || !strings.Contains(out, `set repository.domain to "tenant-2"`) {
		t.Fatalf("%d %q %q", code, out, errs)
	}
	var listed []struct {
		Domain, Name string
		DataKey      string `json:"data_key"`
	}
	code, out, errs = run("domain", "list", "--config", h.config, "-o", "json")
	if err := json.Unmarshal([]byte(out), &listed); code != 0 || errs != "" || err != nil {
		t.Fatalf("%d %q %q %v", code, out, errs, err)
	}
	if len(listed) != 2 || listed[0].Name != "" || listed[1].Name != "tenant-2" || listed[0].Domain == listed[1].Domain {
		t.Fatalf("%+v", listed)
	}
	if code, _, errs := run("domain", "add", "tenant-2", "--config", h.config, "--passphrase-file", h.passphrase); code != 1 || !strings.Contains(errs, "has the name") {
		t.Errorf("made again: %d %q", code, errs)
	}
	named := func(name string) string { return withKeys(t, h.config, "domain: "+name) }
	if code, out, errs := run("key", "rotate", "--config", named("tenant-2"), "--passphrase-file", h.passphrase); code != 0 {
		t.Errorf("%d %q %q", code, out, errs)
	}
	if _, out, _ := run("key", "list", "--config", named("tenant-2"), "-o", "json"); !strings.Contains(out, listed[1].DataKey) || strings.Contains(out, listed[0].DataKey) {
		t.Errorf("the keys of another domain are listed: %s", out)
	}
	code, _, errs = run("key", "rotate", "--config", named("tenant-3"), "--passphrase-file", h.passphrase)
	if code != 1 || !strings.Contains(errs, `no domain "tenant-3"`) || !strings.Contains(errs, "ivd repo domain add") {
		t.Errorf("a domain that does not exist: %d %q", code, errs)
	}
}
