package format

import (
	"testing"

	"ivdmover/shared/ivd"
)

// A pack grows to MaxPackSize with all that it ends with, and no further. Memory of
// that size is taken and hardly touched: that is why the test is inside the package.
func TestPackSize(t *testing.T) {
	memory := make([]byte, MaxPackSize)
	stored := make([]byte, 1000)
	entries := make([]Entry, 3, 4)
	// What follows the frames so far: this frame, a directory of four, and the trailer.
	after := FrameOverhead + len(stored) + FrameOverhead + 4*entrySize + TrailerSize
	for more, fits := range map[int]bool{0: true, 1: false} {
		p := &Pack{header: PackHeader{Kind: DataPack}, opener: new(Opener), entries: entries, buf: memory[:MaxPackSize-after+more]}
		func() {
			defer func() {
				if refused := recover() != nil; refused == fits {
					t.Errorf("a pack of %d bytes is refused: %t", MaxPackSize+more, refused)
				}
			}()
			p.Add(ChunkFrame, ivd.ContentID{}, len(stored), CompressionNone, stored)
		}()
	}
}
