package run

import (
	"errors"
	"strings"
	"testing"

	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
)

// A datastore that cannot be listed keeps nobody from backing the others up, and
// is not passed over in silence.
func TestWhatCannotBeListedIsLeftOut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := b.disk("a", 8)
	other, err := b.owner.Create(t.Context(), "datastore2", "b", 8)
	b.must(err)
	b.mover("m1")
	s, _ := b.serving("one")
	b.wire.intercept(func(method, body string) error {
		if method == "ListVStorageObject" && strings.Contains(body, ">"+string(other.Ref.Datastore())+"<") {
			return errors.New("the host is away")
		}
		return nil
	})
	v := b.until(s, b.backup(s, BackupRequest{All: true}).ID, ended)
	if v.State != Partial || len(v.Disks) != 1 || v.Disks[0].Result != Done || v.Failure == nil || !strings.Contains(v.Failure.Message, "datastore2") {
		t.Errorf("%s, %+v: %+v", v.State, v.Failure, v.Disks)
	}
	// A disk that is asked for by its id is either found, or it cannot be said.
	v = b.until(s, b.backup(s, BackupRequest{Disks: []ivd.DiskID{d.Ref.ID()}}).ID, ended)
	if v.State != Done || v.Failure != nil {
		t.Errorf("%s, %+v", v.State, v.Failure)
	}
	if _, err := s.StartBackup(t.Context(), BackupRequest{Disks: []ivd.DiskID{other.Ref.ID()}}); ivd.KindOf(err) == ivd.NotFound || err == nil {
		t.Errorf("a disk on a datastore that is away: %v", err)
	}
	// A policy that is not about that datastore lacks nothing.
	p := config.DefaultPolicy()
	p.Name, p.Select.Datastores = "first", []string{"datastore1"}
	s.Policies = []config.Policy{p}
	v = b.until(s, b.backup(s, BackupRequest{Policy: "first"}).ID, ended)
	if v.State != Done || v.Failure != nil || len(v.Disks) != 1 {
		t.Errorf("%s, %+v: %+v", v.State, v.Failure, v.Disks)
	}
	b.wire.intercept(func(string, string) error { return errors.New("the vCenter is away") })
	if _, err := s.StartBackup(t.Context(), BackupRequest{All: true}); err == nil || ivd.KindOf(err) == ivd.Invalid {
		t.Errorf("without a vCenter: %v", err)
	}
	b.wire.intercept(nil)
	if _, err := s.StartBackup(t.Context(), BackupRequest{Disks: []ivd.DiskID{"00000000-0000-4000-8000-000000000000"}}); ivd.KindOf(err) != ivd.NotFound {
		t.Errorf("a disk that is nowhere: %v", err)
	}
}

func TestPolicyChooses(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.disk("data-1", 8)
	b.disk("swap-1", 8)
	b.mover("m1")
	s := b.service("one")
	p := config.DefaultPolicy()
	p.Name, p.Select.Names, p.CBT = "data", []string{"data-*"}, "off"
	s.Policies = []config.Policy{p}
	b.serve(s)
	v := b.until(s, b.backup(s, BackupRequest{Policy: "data"}).ID, ended)
	if v.State != Done || v.Policy != "data" || len(v.Disks) != 1 || v.Disks[0].Name != "data-1" {
		t.Errorf("%+v", v)
	}
	if _, err := s.StartBackup(t.Context(), BackupRequest{Policy: "dat"}); ivd.KindOf(err) != ivd.NotFound {
		t.Errorf("an unknown policy: %v", err)
	}
	if _, err := s.StartBackup(t.Context(), BackupRequest{}); ivd.KindOf(err) != ivd.Invalid {
		t.Errorf("nothing named: %v", err)
	}
}
