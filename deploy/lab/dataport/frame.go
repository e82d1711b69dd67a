package dataport

import (
	"encoding/binary"
	"fmt"
	"io"
)

// The frames' constants. All numbers are little-endian.
const (
	requestMagic  = 0x51464e4c // "LNFQ"
	responseMagic = 0x52464e4c // "LNFR"
	version       = 1

	requestSize  = 40
	responseSize = 24
	maxPayload   = 16 << 20

	sector = 512
)

// The operations.
const (
	opOpen = iota + 1
	opRead
	opWrite
	opAllocated
	opFlush
	opClose
	opPrepare
	opEnd
)

// request is a frame from a client.
type request struct {
	op      uint16
	id      uint64
	start   uint64 // sectors
	count   uint64 // sectors
	payload []byte
}

func readRequest(r io.Reader) (request, error) {
	var h [requestSize]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return request{}, err
	}
	le := binary.LittleEndian
	if m, v := le.Uint32(h[0:]), le.Uint16(h[4:]); m != requestMagic || v != version {
		return request{}, fmt.Errorf("frame with magic %08x, version %d", m, v)
	}
	n := le.Uint32(h[32:])
	if n > maxPayload {
		return request{}, fmt.Errorf("payload of %d bytes: at most %d are taken", n, maxPayload)
	}
	q := request{op: le.Uint16(h[6:]), id: le.Uint64(h[8:]), start: le.Uint64(h[16:]), count: le.Uint64(h[24:]), payload: make([]byte, n)}
	_, err := io.ReadFull(r, q.payload)
	return q, err
}

// writeResponse writes a frame; payload is an error's text where code is not 0.
func writeResponse(w io.Writer, q request, c code, payload []byte) error {
	h := make([]byte, responseSize, responseSize+len(payload))
	le := binary.LittleEndian
	le.PutUint32(h[0:], responseMagic)
	le.PutUint16(h[4:], version)
	le.PutUint16(h[6:], q.op)
	le.PutUint64(h[8:], q.id)
	le.PutUint32(h[16:], uint32(c))
	le.PutUint32(h[20:], uint32(len(payload)))
	_, err := w.Write(append(h, payload...))
	return err
}
