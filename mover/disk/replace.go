package disk

import "os"

// replace writes a file that is the old one, whole, until it is the new one.
func replace(file string, text []byte) error {
	next := file + ".next"
	if err := os.WriteFile(next, text, 0o600); err != nil {
		return err
	}
	return os.Rename(next, file)
}
