package store

import "ivdmover/shared/ivd"

// TooLarge is how Get refuses an object that is larger than its reader would
// ever have written.
func TooLarge(size, limit int64) error {
	return ivd.Errorf(ivd.Corrupt, "object of %d bytes: want at most %d", size, limit)
}
