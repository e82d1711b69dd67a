package format

import (
	"encoding/json"
	"fmt"
)

// Magic is the kind of a record: the first 8 bytes of its object.
type Magic string

// The kinds of record.
const (
	PointMagic     Magic = "IVDPOINT"
	LeaseMagic     Magic = "IVDLEASE"
	WriterMagic    Magic = "IVDWRITR"
	CondemnedMagic Magic = "IVDCONDM"
	RetiredMagic   Magic = "IVDRETIR"
	SummaryMagic   Magic = "IVDSUMMA"
)

const (
	// RecordHeaderSize is the bytes before a record's body.
	RecordHeaderSize = 112
	// MaxRecord bounds a record with its header.
	MaxRecord = 64 << 20
	// RecordVersion is the version of all records that is written here, and the
	// newest one that is read.
	RecordVersion = 1
)

// SealRecord puts a body into its envelope. The room for a signature is zero.
func SealRecord(magic Magic, body []byte) ([]byte, error) {
	if len(magic) != 8 || len(body) > MaxRecord-RecordHeaderSize {
		return nil, fmt.Errorf("seal record %s of %d bytes: want at most %d", magic, len(body), MaxRecord-RecordHeaderSize)
	}
	sum := blake3Sum(body)
	b := make([]byte, 0, RecordHeaderSize+len(body))
	b = append(b, magic...)
	b = le.AppendUint16(b, RecordVersion)
	b = append(b, cipherNone, 0)
	b = le.AppendUint32(b, uint32(len(body)))
	b = append(b, sum[:]...)
	b = append(b, make([]byte, 64)...)
	return append(b, body...), nil
}

// OpenRecord checks an object's envelope and returns the body, a part of b. The
// signature is not looked at: a plain repository has no key to check it with.
func OpenRecord(magic Magic, b []byte) ([]byte, error) {
	if len(b) < RecordHeaderSize {
		return nil, corrupt("record of %d bytes: want at least %d", len(b), RecordHeaderSize)
	}
	if Magic(b[:8]) != magic {
		return nil, corrupt("record begins with %q, want %q", b[:8], magic)
	}
	if err := checkVersion("record "+string(magic), int(le.Uint16(b[8:])), RecordVersion); err != nil {
		return nil, err
	}
	if err := checkCipher("record "+string(magic), b[10]); err != nil {
		return nil, err
	}
	if b[11] != 0 {
		return nil, corrupt("record header's reserved byte is %#x", b[11])
	}
	body := b[RecordHeaderSize:]
	if n := le.Uint32(b[12:]); int64(n) != int64(len(body)) {
		return nil, corrupt("record body of %d bytes where its header says %d", len(body), n)
	}
	if blake3Sum(body) != [32]byte(b[16:48]) {
		return nil, corrupt("record body does not match its checksum")
	}
	return body, nil
}

// encodeRecord seals v's JSON; decodeRecord is its inverse.
func encodeRecord(magic Magic, v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode record %s: %w", magic, err)
	}
	return SealRecord(magic, body)
}

func decodeRecord(magic Magic, b []byte, v any) error {
	body, err := OpenRecord(magic, b)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return corrupt("record %s: %w", magic, err)
	}
	return nil
}
