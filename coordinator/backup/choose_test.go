package backup_test

import (
	"errors"
	"strings"
	"testing"

	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/catalogue"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
)

// A datastore that cannot be listed keeps nobody from backing the others up, and
// is not passed over in silence.
func TestWhatCannotBeListedIsLeftOut(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	d := b.Disk("a", 8)
	other, err := b.Owner.Create(t.Context(), "datastore2", "b", 8)
	b.Must(err)
	b.Mover("m1")
	s, _ := b.Serving("one")
	b.Wire.Intercept(func(method, body string) error {
		if (method == "ListVStorageObject" || method == "RetrieveVStorageObject") && strings.Contains(body, ">"+string(other.Ref.Datastore())+"<") {
			return errors.New("the host is away")
		}
		return nil
	})
	v := b.Until(s, b.Begin(s, backup.Request{All: true}).ID, coordtest.Ended)
	if v.State != engine.Partial || len(v.Items) != 1 || v.Items[0].Result != engine.Done || v.Failure == nil || !strings.Contains(v.Failure.Message, "datastore2") {
		t.Errorf("%s, %+v: %+v", v.State, v.Failure, v.Items)
	}
	// A disk that is asked for by its id is either found, or it cannot be said.
	v = b.Until(s, b.Begin(s, backup.Request{Disks: []catalogue.Disk{{ID: d.Ref.ID()}}}).ID, coordtest.Ended)
	if v.State != engine.Done || v.Failure != nil {
		t.Errorf("%s, %+v", v.State, v.Failure)
	}
	if _, err := s.StartBackup(t.Context(), backup.Request{Disks: []catalogue.Disk{{ID: other.Ref.ID()}}}); ivd.KindOf(err) == ivd.NotFound || err == nil {
		t.Errorf("a disk on a datastore that is away: %v", err)
	}
	// A policy that is not about that datastore lacks nothing.
	p := config.DefaultPolicy()
	p.Name, p.Select.Datastores = "first", []string{"datastore1"}
	s.Backup.Policies = []config.Policy{p}
	v = b.Until(s, b.Begin(s, backup.Request{Policy: "first"}).ID, coordtest.Ended)
	if v.State != engine.Done || v.Failure != nil || len(v.Items) != 1 {
		t.Errorf("%s, %+v: %+v", v.State, v.Failure, v.Items)
	}
	b.Wire.Intercept(func(string, string) error { return errors.New("the vCenter is away") })
	if _, err := s.StartBackup(t.Context(), backup.Request{All: true}); err == nil || ivd.KindOf(err) == ivd.Invalid {
		t.Errorf("without a vCenter: %v", err)
	}
	b.Wire.Intercept(nil)
	if _, err := s.StartBackup(t.Context(), backup.Request{Disks: []catalogue.Disk{{ID: "00000000-0000-4000-8000-000000000000"}}}); ivd.KindOf(err) != ivd.NotFound {
		t.Errorf("a disk that is nowhere: %v", err)
	}
}

func TestPolicyChooses(t *testing.T) {
	t.Parallel()
	b := coordtest.New(t)
	b.Disk("data-1", 8)
	b.Disk("swap-1", 8)
	b.Mover("m1")
	s := b.Coordinator("one")
	p := config.DefaultPolicy()
	p.Name, p.Select.Names, p.CBT = "data", []string{"data-*"}, "off"
	s.Backup.Policies = []config.Policy{p}
	b.Serve(s)
	v := b.Until(s, b.Begin(s, backup.Request{Policy: "data"}).ID, coordtest.Ended)
	if v.State != engine.Done || policyOf(b, v) != "data" || len(v.Items) != 1 || b.Backup(v.Items[0]).Name != "data-1" {
		t.Errorf("%+v", v)
	}
	if _, err := s.StartBackup(t.Context(), backup.Request{Policy: "dat"}); ivd.KindOf(err) != ivd.NotFound {
		t.Errorf("an unknown policy: %v", err)
	}
	if _, err := s.StartBackup(t.Context(), backup.Request{}); ivd.KindOf(err) != ivd.Invalid {
		t.Errorf("nothing named: %v", err)
	}
}

// policyOf is the policy of a run.
func policyOf(b *coordtest.Bench, v engine.View) string {
	var o backup.Order
	b.Must(v.Decode(&o))
	return o.Policy
}
