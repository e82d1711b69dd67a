package run

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"ivdmover/coordinator/inventory"
	"ivdmover/coordinator/policy"
	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
)

// StartBackup chooses the disks, stores the run and begins to drive it. It returns
// as soon as the run is stored.
func (s *Service) StartBackup(ctx context.Context, q BackupRequest) (View, error) {
	p, err := s.policyOf(q)
	if err != nil {
		return View{}, err
	}
	chosen, leftOut, err := s.choose(ctx, q, p)
	if err != nil {
		return View{}, err
	}
	r := s.newRun(job.Backup)
	r.Policy, r.Full, r.Failure = q.Policy, q.Full, leftOut
	disks := make([]Disk, len(chosen))
	for i, d := range chosen {
		disks[i] = Disk{Version: Version, Run: r.ID, Ref: d.Ref, Name: d.Name, Datastore: d.DatastoreName, Metadata: d.Metadata, Step: Waiting, CBT: p.CBT}
	}
	return s.begin(ctx, r, disks)
}

// policyOf is the policy that a request names, or the one of requests that name none.
func (s *Service) policyOf(q BackupRequest) (config.Policy, error) {
	if q.Policy == "" {
		return policy.All(), nil
	}
	i := slices.IndexFunc(s.Policies, func(p config.Policy) bool { return p.Name == q.Policy })
	if i < 0 {
		names := make([]string, len(s.Policies))
		for i, p := range s.Policies {
			names[i] = p.Name
		}
		return config.Policy{}, &ivd.Error{Kind: ivd.NotFound, Err: fmt.Errorf("no policy %q", q.Policy), Remedy: "the configuration has: " + strings.Join(names, ", ")}
	}
	return s.Policies[i], policy.Check(s.Policies[i])
}

// StartRestore checks the target and begins to restore a point to a new disk.
func (s *Service) StartRestore(ctx context.Context, q RestoreRequest) (View, error) {
	p, info, err := s.Repo.ReadPoint(ctx, q.Point)
	if ivd.KindOf(err) == ivd.NotFound {
		return View{}, &ivd.Error{Kind: ivd.NotFound, Err: fmt.Errorf("no restore point %s", q.Point), Remedy: "`ivd points` lists them"}
	}
	if err != nil {
		return View{}, err
	}
	name := q.Name
	if name == "" {
		name = p.Name + "-" + strings.SplitN(path.Base(string(info.ID)), "-", 2)[0]
	}
	if strings.HasPrefix(name, workingPrefix) {
		return View{}, &ivd.Error{Kind: ivd.Invalid, Err: fmt.Errorf("%q is a name of unfinished restores", name), Remedy: "give another --name"}
	}
	v, ds, err := s.target(ctx, q, p.Disk)
	if err != nil {
		return View{}, err
	}
	taken, err := findByName(ctx, v, ds.ID, name)
	if err != nil {
		return View{}, err
	}
	if taken != nil {
		return View{}, &ivd.Error{Kind: ivd.Exists, Err: fmt.Errorf("a disk named %q is on datastore %s already", name, taken.DatastoreName), Remedy: "give another --name"}
	}
	r := s.newRun(job.Restore)
	ref := ivd.NewDiskRef(v.Source(), ds.ID, "")
	return s.begin(ctx, r, []Disk{{
		Version: Version, Run: r.ID, Ref: ref, Name: p.Name, Datastore: ds.Name, Step: Waiting,
		From: p.ID, Target: name, Geometry: p.Geometry,
	}})
}

// target is the vCenter and the datastore to restore to.
func (s *Service) target(ctx context.Context, q RestoreRequest, was ivd.DiskRef) (*inventory.VCenter, inventory.Datastore, error) {
	v, err := s.vcenter(was.Source())
	if q.VCenter != "" {
		v, err = s.vcenterNamed(q.VCenter)
	}
	if err != nil {
		return nil, inventory.Datastore{}, err
	}
	want := q.Datastore
	if want == "" {
		want = string(was.Datastore())
	}
	ds, err := v.Datastore(ctx, want)
	return v, ds, err
}

// Cancel asks for the end of a run. Disks that are done stay done.
func (s *Service) Cancel(ctx context.Context, id ivd.RunID) error {
	if a := s.find(id); a != nil {
		if r, _ := a.stored(); !r.State.Ended() {
			return a.update(ctx, func(r *Run) { r.Cancel = true })
		}
	}
	return again(ctx, func() error {
		r, rev, err := s.getRun(ctx, id)
		if err != nil {
			return err
		}
		if r.State.Ended() {
			return &ivd.Error{Kind: ivd.Invalid, Err: fmt.Errorf("run %s is over: %s", id, r.State)}
		}
		r.Cancel = true
		_, err = s.Queue.State().Update(ctx, runKey(id), r, rev)
		return err
	})
}

func (s *Service) newRun(k job.Kind) Run {
	now := s.now().UTC().Truncate(time.Second)
	return Run{Version: Version, ID: ivd.NewRunID(now), Kind: k, State: Running, Created: now, Owner: s.Instance, OwnerRun: s.start, Repository: s.Repo.ID()}
}

// begin stores the disks and then the run, so that a run that is seen is whole, and
// drives it.
func (s *Service) begin(ctx context.Context, r Run, disks []Disk) (View, error) {
	if err := s.Serving(ctx); err != nil {
		return View{}, err
	}
	lease, err := s.openLease(ctx, r)
	if err != nil {
		return View{}, err
	}
	r.Lease, r.Deadline = lease.ID, lease.Deadline
	rev, err := s.store(ctx, r, disks)
	if err != nil {
		s.unused(ctx, lease)
		return View{}, err
	}
	s.Log.Info("run begins", "run", r.ID, "kind", r.Kind, "disks", len(disks))
	a := s.newActive(r, rev, lease)
	for _, d := range disks {
		a.disks[d.Key()] = d
	}
	s.drive(a)
	return a.view(), nil
}

func (s *Service) store(ctx context.Context, r Run, disks []Disk) (uint64, error) {
	for _, d := range disks {
		if _, err := s.Queue.State().Create(ctx, diskKey(d), d); err != nil {
			return 0, fmt.Errorf("store disk %s: %w", d.Key(), err)
		}
	}
	rev, err := s.Queue.State().Create(ctx, runKey(r.ID), r)
	if err != nil {
		return 0, fmt.Errorf("store run %s: %w", r.ID, err)
	}
	return rev, nil
}

// pointsOf lists a disk's points, the newest first.
func (s *Service) pointsOf(ctx context.Context, disk ivd.DiskID) ([]repo.PointInfo, error) {
	var points []repo.PointInfo
	for p, err := range s.Repo.Points(ctx, disk) {
		if err != nil {
			return nil, err
		}
		points = append(points, p)
	}
	slices.SortFunc(points, func(a, b repo.PointInfo) int { return strings.Compare(string(b.ID), string(a.ID)) })
	return points, nil
}
