package queue

import (
	"encoding/json"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// decodeJob reads the version first: what a newer program wrote need not decode.
func decodeJob(body []byte) (job.Job, error) {
	var j job.Job
	if err := decode("job", body, &j); err != nil {
		return job.Job{}, err
	}
	if err := checkJob(&j); err != nil {
		return job.Job{}, &ivd.Error{Kind: ivd.Corrupt, Op: "job", Err: err}
	}
	return j, nil
}

// decode reads a message or a record of this package.
func decode(what string, body []byte, v any) error {
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(body, &head); err != nil {
		return &ivd.Error{Kind: ivd.Corrupt, Op: what, Err: err}
	}
	if err := CheckVersion(what, head.Version, job.Version); err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return &ivd.Error{Kind: ivd.Corrupt, Op: what, Err: err}
	}
	return nil
}
