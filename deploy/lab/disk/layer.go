package disk

import (
	"errors"
	"fmt"
	"os"
)

// layer holds what a snapshot has saved of the blocks that were overwritten
// after it and before the next newer one.
type layer struct {
	id        string
	bits, dat *os.File
}

func openLayer(file func(string) string, id string) (*layer, error) {
	bits, err := os.OpenFile(file("snap-"+id+".map"), os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("open snapshot: %w", err)
	}
	dat, err := os.OpenFile(file("snap-"+id+".data"), os.O_RDWR, 0)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open snapshot: %w", err), bits.Close())
	}
	return &layer{id: id, bits: bits, dat: dat}, nil
}

// makeLayer makes the two empty files, whatever an earlier attempt has left.
func makeLayer(file func(string) string, id string) error {
	for _, ext := range []string{".map", ".data"} {
		if err := os.WriteFile(file("snap-"+id+ext), nil, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func removeLayer(file func(string) string, id string) error {
	return errors.Join(os.Remove(file("snap-"+id+".map")), os.Remove(file("snap-"+id+".data")))
}

func (l *layer) close() error { return closeAll(l.bits, l.dat) }

// save keeps the blocks [from, …) whose content is p: data first, then the bits.
// Zeros are left a hole.
func (l *layer) save(from int64, p []byte) error {
	for i := 0; i < len(p); i += BlockSize {
		block := p[i:min(i+BlockSize, len(p))]
		if isZero(block) {
			continue
		}
		if _, err := l.dat.WriteAt(block, from*BlockSize+int64(i)); err != nil {
			return err
		}
	}
	return setBits(l.bits, from, from+blocks(int64(len(p))))
}

// blocks is how many blocks hold n bytes.
func blocks(n int64) int64 { return (n + BlockSize - 1) / BlockSize }

func isZero(p []byte) bool {
	for len(p) >= 8 {
		if p[0]|p[1]|p[2]|p[3]|p[4]|p[5]|p[6]|p[7] != 0 {
			return false
		}
		p = p[8:]
	}
	for _, x := range p {
		if x != 0 {
			return false
		}
	}
	return true
}
