package policy

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ivdmover/coordinator/retain"
	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
)

func TestAllIsEverything(t *testing.T) {
	if err := Check(All()); err != nil {
		t.Error(err)
	}
	if !Selects(All(), "any datastore", "") || !Selects(All(), "d", "a/b [c]") || All().CBT != "use" {
		t.Errorf("%+v", All())
	}
}

func TestSelects(t *testing.T) {
	p := All()
	p.Select.Datastores, p.Select.Names = []string{"vmfs-?", "nfs*"}, []string{"pvc-*-data", "a"}
	for _, c := range []struct {
		datastore, name string
		want            bool
	}{
		{"vmfs-1", "a", true},
		{"vmfs-12", "a", false},
		{"nfs", "pvc-1-data", true},
		{"NFS", "pvc-1-data", false},
		{"nfs-1", "pvc--data", true},
		{"nfs-1", "pvc-1-data-2", false},
		{"nfs-1", "ab", false},
		{"san", "a", false},
	} {
		if got := Selects(p, c.datastore, c.name); got != c.want {
			t.Errorf("%s on %s: %v", c.name, c.datastore, got)
		}
	}
}

func TestWhatIsNotBuiltIsRefusedByName(t *testing.T) {
	for key, set := range map[string]func(*config.Policy){
		"select.tags":       func(p *config.Policy) { p.Select.Tags = []string{"gold"} },
		"select.namespaces": func(p *config.Policy) { p.Select.Namespaces = []string{"shop"} },
		"select.vms":        func(p *config.Policy) { p.Select.VMs = []string{"vm"} },
		"select.attached":   func(p *config.Policy) { p.Select.Attached = "only" },
		"schedule":          func(p *config.Policy) { p.Schedule = "0 22 * * *" },
		"window":            func(p *config.Policy) { p.Window = config.Duration(time.Hour) },
	} {
		p := All()
		p.Name = "nightly"
		set(&p)
		err := Check(p)
		if ivd.KindOf(err) != ivd.Unsupported || !strings.Contains(err.Error(), key) || !strings.Contains(err.Error(), "nightly") {
			t.Errorf("%s: %v", key, err)
		}
	}
	for name, set := range map[string]func(*config.Policy){
		"select.datastores": func(p *config.Policy) { p.Select.Datastores = nil },
		"select.names":      func(p *config.Policy) { p.Select.Names = []string{} },
		"cbt":               func(p *config.Policy) { p.CBT = "sometimes" },
	} {
		p := All()
		set(&p)
		if err := Check(p); ivd.KindOf(err) != ivd.Invalid || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMatchIsLikeARegularExpression(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringOfN(rapid.RuneFrom([]rune("ab*?é[")), 0, 8, -1).Draw(t, "pattern")
		name := rapid.StringOfN(rapid.RuneFrom([]rune("abé[")), 0, 12, -1).Draw(t, "name")
		expr := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern))
		want := regexp.MustCompile("^(?s:" + expr + ")$").MatchString(name)
		if got := match([]rune(pattern), []rune(name)); got != want {
			t.Fatalf("%q on %q: %v", pattern, name, got)
		}
	})
}

func TestRules(t *testing.T) {
	p := All()
	if r, err := Rules(p); err != nil || !r.Empty() {
		t.Errorf("without keep: %+v, %v", r, err)
	}
	p.Timezone = "Europe/Berlin"
	p.Keep = config.Keep{Last: 1, Hourly: 2, Daily: 3, Weekly: 4, Monthly: 5, Yearly: 6, Within: config.Duration(7 * time.Hour)}
	r, err := Rules(p)
	if err != nil || r.Zone.String() != "Europe/Berlin" {
		t.Fatalf("%+v, %v", r, err)
	}
	r.Zone = nil
	if want := (retain.Rules{Last: 1, Hourly: 2, Daily: 3, Weekly: 4, Monthly: 5, Yearly: 6, Within: 7 * time.Hour}); r != want {
		t.Errorf("%+v, want %+v", r, want)
	}
	p.Timezone = "Mars"
	if _, err := Rules(p); ivd.KindOf(err) != ivd.Invalid {
		t.Error(err)
	}
}
