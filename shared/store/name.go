package store

import (
	"strings"

	"ivdmover/shared/ivd"
)

// maxName keeps a name, with a prefix before it, below what S3 (1,024 bytes) and
// file systems (255 bytes a segment) accept.
const (
	maxName    = 512
	maxSegment = 200
)

// Validate refuses what is no name. Implementations call it before a name
// becomes a path or a URL.
func (n Name) Validate() error {
	if n == "" || len(n) > maxName {
		return ivd.Errorf(ivd.Invalid, "object name %q: want 1 to %d characters", n, maxName)
	}
	for segment := range strings.SplitSeq(string(n), "/") {
		if segment == "" || segment[0] == '.' || len(segment) > maxSegment {
			return ivd.Errorf(ivd.Invalid, "object name %q: bad segment %q", n, segment)
		}
		for _, c := range []byte(segment) {
			if !nameByte(c) {
				return ivd.Errorf(ivd.Invalid, "object name %q: bad character %q", n, c)
			}
		}
	}
	return nil
}

func nameByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		return true
	case c == '.', c == '-', c == '_', c == 'T', c == 'Z':
		return true
	}
	return false
}
