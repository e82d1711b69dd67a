// Package policy decides which disks a policy of the configuration selects, and by which
// rules their restore points are kept.
//
// It is pure. A key that is not built yet is refused by name, so that nobody relies
// on a schedule that never fires or on a condition that is ignored. Patterns match
// whole names, with case: * matches any text, ? one character.
package policy

import (
	"fmt"
	"strings"

	"ivdmover/coordinator/retain"
	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
)

// attachedAny is the only value of select.attached that is built: disks that are
// attached to a virtual machine and disks that are not.
const attachedAny = "any"

// All returns the policy of a request that names none: every disk, with changed block
// tracking where it is on.
func All() config.Policy { return config.DefaultPolicy() }

// Check refuses a policy with keys that are not built yet (kind Unsupported, all of
// them in one line) and one that cannot select any disk (kind Invalid).
func Check(p config.Policy) error {
	op := fmt.Sprintf("policy %q", p.Name)
	if keys := unbuilt(p); len(keys) > 0 {
		return &ivd.Error{
			Kind: ivd.Unsupported, Op: op, Err: fmt.Errorf("not built yet: %s", strings.Join(keys, ", ")),
			Remedy: "remove these keys, and start backups with `ivd backup --policy`",
		}
	}
	for key, patterns := range map[string][]string{"select.datastores": p.Select.Datastores, "select.names": p.Select.Names} {
		if len(patterns) == 0 {
			return &ivd.Error{Kind: ivd.Invalid, Op: op, Err: fmt.Errorf("%s is empty: it selects nothing", key), Remedy: `write ["*"] for all`}
		}
	}
	switch p.CBT {
	case "off", "use", "enable":
		return nil
	}
	return &ivd.Error{Kind: ivd.Invalid, Op: op, Err: fmt.Errorf("cbt is %q", p.CBT), Remedy: "write off, use or enable"}
}

// unbuilt returns the keys that the policy sets and that are not built yet.
func unbuilt(p config.Policy) []string {
	var keys []string
	for _, k := range []struct {
		name string
		set  bool
	}{
		{"select.tags", len(p.Select.Tags) > 0},
		{"select.namespaces", len(p.Select.Namespaces) > 0},
		{"select.vms", len(p.Select.VMs) > 0},
		{"select.attached other than " + attachedAny, p.Select.Attached != attachedAny},
		{"schedule", p.Schedule != ""},
		{"window", p.Window != 0},
	} {
		if k.set {
			keys = append(keys, k.name)
		}
	}
	return keys
}

// Named is the policy of a name. Kind NotFound: there is none.
func Named(all []config.Policy, name string) (config.Policy, error) {
	names := make([]string, len(all))
	for i, p := range all {
		if p.Name == name {
			return p, nil
		}
		names[i] = p.Name
	}
	return config.Policy{}, &ivd.Error{Kind: ivd.NotFound, Err: fmt.Errorf("no policy %q", name), Remedy: "the configuration has: " + strings.Join(names, ", ")}
}

// Rules are those by which a policy keeps the restore points that it has made.
func Rules(p config.Policy) (retain.Rules, error) {
	zone, err := p.Zone()
	if err != nil {
		return retain.Rules{}, &ivd.Error{Kind: ivd.Invalid, Op: fmt.Sprintf("policy %q", p.Name), Err: err}
	}
	k := p.Keep
	return retain.Rules{
		Last: k.Last, Hourly: k.Hourly, Daily: k.Daily, Weekly: k.Weekly, Monthly: k.Monthly, Yearly: k.Yearly, Within: k.Within.Std(), Zone: zone,
	}, nil
}

// Selects reports whether a policy that passed Check selects a disk.
func Selects(p config.Policy, datastore, name string) bool {
	return SelectsDatastore(p, datastore) && matchAny(p.Select.Names, name)
}

// SelectsDatastore reports whether a policy may select disks of a datastore.
func SelectsDatastore(p config.Policy, datastore string) bool {
	return matchAny(p.Select.Datastores, datastore)
}

func matchAny(patterns []string, name string) bool {
	for _, p := range patterns {
		if match([]rune(p), []rune(name)) {
			return true
		}
	}
	return false
}

// match reports whether a pattern matches a name. It goes back to the last * only,
// which is enough and bounds its time by the product of both lengths.
func match(pattern, name []rune) bool {
	star, retry := -1, 0
	p, n := 0, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, retry = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			p++
			n++
		case star >= 0:
			retry++
			p, n = star+1, retry
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
