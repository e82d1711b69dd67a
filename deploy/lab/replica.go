package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/google/uuid"

	"ivdmover/deploy/lab/estate"
)

// Replicate copies a laboratory's folder as a storage array copies what lies on it, for
// another vCenter: the disks have the same ids and the same tracking, the vCenter is
// another one. Nothing may be written meanwhile; the target is not there yet.
func Replicate(ctx context.Context, from, to string) error {
	out, err := exec.CommandContext(ctx, "cp", "-a", "--sparse=always", from, to).CombinedOutput()
	if err != nil {
		return fmt.Errorf("replicate a laboratory: %w: %s", err, out)
	}
	for _, own := range []string{"password", "vcenter.pem", "host.pem", "lab.lock"} {
		if e := os.Remove(filepath.Join(to, own)); !errors.Is(e, os.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	if err != nil {
		return fmt.Errorf("replicate a laboratory: %w", err)
	}
	text, err := os.ReadFile(estate.Path(to))
	if err != nil {
		return fmt.Errorf("replicate a laboratory: %w", err)
	}
	var state map[string]any
	if err := json.Unmarshal(text, &state); err != nil {
		return fmt.Errorf("replicate a laboratory: %w", err)
	}
	state["instance"] = uuid.NewString()
	if text, err = json.Marshal(state); err == nil {
		err = keep(estate.Path(to), text)
	}
	return err
}
