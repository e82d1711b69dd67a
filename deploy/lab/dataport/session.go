package dataport

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"ivdmover/deploy/lab/estate"
	"ivdmover/shared/ivd"
)

const (
	// inFlight is how many requests of a connection are worked on at once.
	inFlight = 16
	// maxAreas is how many areas of 16 bytes one answer holds.
	maxAreas = maxPayload / 16
	// usualBuffers are those of a session that does not say: four of 64 KiB.
	usualBuffers = 4 * 64 << 10
)

// session is one connection: one open disk, or calls that need none.
type session struct {
	p       *Port
	conn    *tls.Conn
	handle  *estate.Handle
	buffers int64 // that the handle takes of the host's memory
	pace    pace
	gone    chan struct{} // closed when the client is

	working sync.WaitGroup
	writing sync.Mutex // of responses
}

// run reads requests until the client closes. Reads and writes are answered in
// any order; all others wait for those before them.
func (s *session) run() error {
	r := bufio.NewReaderSize(s.conn, 64<<10)
	slots := make(chan struct{}, inFlight)
	for {
		q, err := readRequest(r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch q.op {
		case opRead, opWrite:
			slots <- struct{}{}
			s.working.Go(func() {
				defer func() { <-slots }()
				s.reply(q, s.paced)
			})
		default:
			s.working.Wait()
			s.reply(q, s.paced)
		}
	}
}

func (s *session) end() {
	close(s.gone)
	s.working.Wait()
	s.release()
}

func (s *session) release() {
	if s.handle == nil {
		return
	}
	s.handle.Close()
	s.handle = nil
	s.p.limits.give(s.buffers)
}

func (s *session) reply(q request, f func(request) ([]byte, error)) {
	payload, err := f(q)
	c := codeOf(err)
	if c != good {
		payload = []byte(err.Error())
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := writeResponse(s.conn, q, c, payload); err != nil {
		_ = s.conn.NetConn().Close()
	}
}

func (s *session) perform(q request) ([]byte, error) {
	switch q.op {
	case opOpen:
		return s.open(q)
	case opPrepare, opEnd:
		return nil, s.access(q)
	case opRead, opWrite, opAllocated, opFlush, opClose:
		if s.handle == nil {
			return nil, refuse(invalidArg, "no disk is open")
		}
	default:
		return nil, refuse(notSupported, fmt.Sprintf("operation %d", q.op))
	}
	switch q.op {
	case opRead:
		return s.read(q)
	case opWrite:
		return nil, s.write(q)
	case opAllocated:
		return s.allocated(q)
	case opFlush:
		return nil, s.handle.Flush()
	}
	s.release()
	return nil, nil
}

func (s *session) open(q request) ([]byte, error) {
	if s.handle != nil {
		return nil, refuse(invalidArg, "the connection has an open disk")
	}
	f := fields(q.payload)
	k, err := s.p.tickets.take(f["ticket"], opOpen, time.Now())
	if err != nil {
		return nil, err
	}
	if s.buffers, err = strconv.ParseInt(f["buffers"], 10, 64); err != nil || s.buffers < 0 {
		s.buffers = usualBuffers
	}
	if err := s.p.limits.take(s.p.hosts(), s.buffers); err != nil {
		return nil, err
	}
	h, err := s.p.o.Estate.Open(k.datastore, k.disk, k.snapshot, k.write, s.conn.RemoteAddr().String())
	if err != nil {
		s.p.limits.give(s.buffers)
		return nil, err
	}
	s.handle = h
	return fmt.Appendf(nil, "capacity=%d\nuuid=%s\nadapter=lsilogic\nlinks=%d\n", h.Capacity()/sector, h.Disk().ID, h.Links()), nil
}

func (s *session) access(q request) error {
	f := fields(q.payload)
	k, err := s.p.tickets.take(f["ticket"], q.op, time.Now())
	if err != nil {
		return err
	}
	identity := f["identity"]
	if identity == "" || len(identity) > 50 {
		return refuse(invalidArg, "an identity of 1 to 50 characters is needed")
	}
	a := estate.Access{Disk: k.disk, Machine: k.machine, Identity: identity}
	if q.op == opPrepare {
		return s.p.o.Front.Prepare(k.datastore, a, s.p.hosts().AccessRefused)
	}
	return s.p.o.Front.End(a)
}

// span turns sectors into bytes, without overflow.
func span(q request) (off, n int64, err error) {
	if q.start > math.MaxInt64/sector || q.count > math.MaxInt64/sector || q.start+q.count > math.MaxInt64/sector {
		return 0, 0, refuse(outOfRange, fmt.Sprintf("%d sectors at %d", q.count, q.start))
	}
	return int64(q.start) * sector, int64(q.count) * sector, nil
}

func (s *session) read(q request) ([]byte, error) {
	off, n, err := span(q)
	if err != nil {
		return nil, err
	}
	if n > maxPayload {
		return nil, refuse(invalidArg, fmt.Sprintf("a read of %d bytes: at most %d at once", n, maxPayload))
	}
	p := make([]byte, n)
	return p, s.handle.ReadAt(p, off)
}

func (s *session) write(q request) error {
	off, n, err := span(q)
	if err != nil {
		return err
	}
	if n != int64(len(q.payload)) {
		return refuse(invalidArg, fmt.Sprintf("%d sectors with %d bytes", q.count, len(q.payload)))
	}
	return s.handle.WriteAt(q.payload, off)
}

// allocated answers with areas that are whole chunks, except at the disk's end.
func (s *session) allocated(q request) ([]byte, error) {
	off, n, err := span(q)
	if err != nil {
		return nil, err
	}
	if len(q.payload) != 8 {
		return nil, refuse(invalidArg, "the chunk's size is missing")
	}
	size := binary.LittleEndian.Uint64(q.payload)
	if size == 0 || size > math.MaxInt32 {
		return nil, refuse(invalidArg, fmt.Sprintf("chunks of %d sectors", size))
	}
	chunk := int64(size) * sector
	if off%chunk != 0 || n <= 0 {
		return nil, refuse(invalidArg, fmt.Sprintf("%d sectors at %d in chunks of %d", q.count, q.start, size))
	}
	a, err := s.handle.Allocated(off, off+n, maxAreas-1)
	if err != nil {
		return nil, err
	}
	if a.End < off+n { // too many to tell: the rest as one
		a.Extents = append(a.Extents, ivd.Extent{Offset: a.End, Length: off + n - a.End})
	}
	var out []byte
	for _, x := range inChunks(a.Extents, chunk, off+n) {
		out = binary.LittleEndian.AppendUint64(out, uint64(x.Offset/sector))
		out = binary.LittleEndian.AppendUint64(out, uint64(x.Length/sector))
	}
	return out, nil
}

// inChunks widens extents to whole chunks, up to end, and joins those that meet.
func inChunks(extents []ivd.Extent, chunk, end int64) []ivd.Extent {
	var out []ivd.Extent
	for _, x := range extents {
		from, to := x.Offset/chunk*chunk, min((x.End()+chunk-1)/chunk*chunk, end)
		if n := len(out) - 1; n >= 0 && from <= out[n].End() {
			out[n].Length = to - out[n].Offset
			continue
		}
		out = append(out, ivd.Extent{Offset: from, Length: to - from})
	}
	return out
}

// fields reads lines of key=value.
func fields(payload []byte) map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(string(payload)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		m[key] = value
	}
	return m
}
