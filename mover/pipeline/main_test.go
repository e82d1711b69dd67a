package pipeline

import (
	"testing"

	"go.uber.org/goleak"

	"ivdmover/shared/soak"
)

func TestMain(m *testing.M) {
	soak.Checks(20) // each is several backups and restores
	goleak.VerifyTestMain(m)
}
