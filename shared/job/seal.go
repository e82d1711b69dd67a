package job

import (
	"crypto/ed25519"
	"encoding/json"
	"reflect"

	"ivdmover/shared/ivd"
)

// Seal says who vouches for a record's checkpoint: the process of a mover that sealed
// the last batch, by the key in its heartbeat.
type Seal struct {
	Mover     string `json:"mover"`
	Process   string `json:"process"`
	Signature []byte `json:"signature"`
}

// sealContext begins what is signed, so that it is nothing else.
const sealContext = "ivd checkpoint\n"

// Sign has a process vouch for the checkpoint as it is now.
func (r *Record) Sign(mover, process string, key ed25519.PrivateKey) error {
	r.Seal = &Seal{Mover: mover, Process: process}
	text, err := r.sealed()
	if err != nil {
		return err
	}
	r.Seal.Signature = ed25519.Sign(key, text)
	return nil
}

// SignedWith reports whether the checkpoint is as the process that vouches for it has
// signed it, whose verification key this is.
func (r *Record) SignedWith(key []byte) bool {
	if r.Seal == nil || len(key) != ed25519.PublicKeySize {
		return false
	}
	text, err := r.sealed()
	return err == nil && ed25519.Verify(key, text, r.Seal.Signature)
}

// Fresh reports whether there is no checkpoint that anybody had to vouch for.
func (r *Record) Fresh() bool {
	return r.Seal == nil && r.State != Done && reflect.ValueOf(r.checkpoint()).IsZero()
}

// sealed is what is signed: all but what others change while the checkpoint stands.
// That the job is done is a part of it.
func (r *Record) sealed() ([]byte, error) {
	c := r.checkpoint()
	c.Version, c.ID, c.Run, c.Disk, c.Snapshot = r.Version, r.ID, r.Run, r.Disk, r.Snapshot
	if r.State == Done {
		c.State = Done
	}
	c.Seal = &Seal{Mover: r.Seal.Mover, Process: r.Seal.Process}
	text, err := json.Marshal(c)
	if err != nil {
		return nil, &ivd.Error{Kind: ivd.Invalid, Op: "sign the checkpoint of job " + string(r.ID), Err: err}
	}
	return append([]byte(sealContext), text...), nil
}

// checkpoint is that alone, of whichever job, without who has the job now.
func (r *Record) checkpoint() Record {
	c := *r
	c.Version, c.ID, c.Run, c.Disk, c.Snapshot = 0, "", "", "", ""
	c.Lease, c.State, c.Attempt, c.Lost, c.Mover, c.Process = "", "", 0, 0, "", ""
	c.Holder, c.Unable, c.Transports, c.Refused, c.Damaged, c.Unread, c.Failure, c.Seal = "", nil, nil, nil, nil, 0, nil, nil
	return c
}
