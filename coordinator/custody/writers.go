package custody

import (
	"context"
	"crypto/ed25519"
	"fmt"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/repo"
	"ivdmover/shared/telemetry"
)

// Register signs and stores the record of a writer of the mover with that heartbeat, once:
// another one under its id is refused (kind Exists). The mover must work on the job that it
// names, and the writer under a lease of the job's run that stands.
func (d *Desk) Register(ctx context.Context, q job.WriterRequest, m job.Mover) error {
	if err := d.known(ctx, m); err != nil {
		return err
	}
	if d.Repo.Root().IsZero() {
		return d.plain()
	}
	w, err := d.Repo.DecodeWriter(q.Record)
	if err != nil {
		return fmt.Errorf("the record of a writer: %w", err)
	}
	if err := d.fits(w, q.Claim); err != nil {
		return d.refuse(m, err)
	}
	if err := d.Runs.Entitled(ctx, q.Claim.Run, q.Claim.Disk); err != nil {
		return d.refuse(m, err)
	}
	if err := d.Runs.Claimed(ctx, q.Claim.Login()); err != nil {
		return err
	}
	l, err := d.Repo.Begin(ctx, w.Lease, repo.Writing)
	if err != nil {
		return err
	}
	if l.Run != q.Claim.Run || l.Kind != format.WriteLease || l.Incarnation != w.Incarnation {
		return d.refuse(m, ivd.Errorf(ivd.Denied, "lease %s is no write lease of run %s in incarnation %s", l.ID, q.Claim.Run, w.Incarnation))
	}
	if err := d.Repo.Register(ctx, w); err != nil {
		return d.refuse(m, err)
	}
	d.Log.Info("a mover's writer is registered", telemetry.Mover(m.Name), telemetry.Run(w.Run), "writer", w.ID)
	return nil
}

// fits refuses a record that does not say what the queue vouches for, and one whose packs
// nobody could open or trust.
func (d *Desk) fits(w format.Writer, c job.Claim) error {
	wrong := ""
	switch {
	case w.Mover != c.Mover:
		wrong = fmt.Sprintf("mover %q, and %s asks", w.Mover, c.Mover)
	case w.Run != c.Run:
		wrong = fmt.Sprintf("run %q, and the job is of %s", w.Run, c.Run)
	case len(w.Public) != ed25519.PublicKeySize:
		wrong = fmt.Sprintf("a public key of %d bytes", len(w.Public))
	case len(w.FrameKey) != format.SealedKeySize:
		wrong = fmt.Sprintf("a frame key of %d bytes", len(w.FrameKey))
	case !d.Repo.KnowsDataKey(w.DataKey):
		wrong = fmt.Sprintf("data key %s, which is none of domain %s", w.DataKey, d.Repo.Domain())
	}
	if wrong != "" {
		return ivd.Errorf(ivd.Denied, "the record of writer %s names %s", w.ID, wrong)
	}
	return nil
}
