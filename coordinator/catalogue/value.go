package catalogue

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// valueVersion changes with what is written of a point.
const valueVersion = 2

// errDamaged is of a value that is not what was written.
var errDamaged = errors.New("a value is not what was written")

func appendPoint(b []byte, p Point) []byte {
	for _, s := range []string{
		string(p.ID), string(p.Disk.Datastore()), p.Name, p.Datastore, string(p.Parent), string(p.Mode), string(p.Consistency), p.Policy,
	} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	for _, t := range []time.Time{p.Time, p.SealedAt, p.Protected} {
		b = binary.AppendVarint(b, t.Unix())
		b = binary.AppendUvarint(b, uint64(t.Nanosecond()))
	}
	var flags uint64
	if p.Partial {
		flags |= 1
	}
	if p.told {
		flags |= 2
	}
	b = binary.AppendUvarint(b, flags)
	for _, n := range numbers(&p) {
		b = binary.AppendVarint(b, *n)
	}
	return b
}

// numbers are those of a point's fields that are sizes and counts.
func numbers(p *Point) []*int64 {
	s := &p.Stats
	return []*int64{
		&p.Geometry.Capacity, &p.Geometry.ChunkSize, &s.DiskBytes, &s.ReadBytes, &s.ZeroBytes, &s.DedupBytes, &s.UnprovenBytes,
		&s.NewBytes, &s.CompressedBytes, &s.StoredBytes, &s.WrittenBytes, &s.Packs, &s.Asked, &s.AskedLists,
	}
}

// reader reads values; texts that many points have are kept once.
type reader struct {
	b     []byte
	bad   bool
	texts map[string]string
}

func newReader() *reader { return &reader{texts: map[string]string{}} }

// value adds the points of a disk.
func (r *reader) value(key, v []byte, found *[]Point) error {
	if len(v) < 4 || binary.LittleEndian.Uint32(v) != crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, v[4:]) {
		return errDamaged
	}
	r.b = v[4:]
	for len(r.b) > 0 {
		p := r.point()
		if r.bad {
			return errDamaged
		}
		*found = append(*found, p)
	}
	return nil
}

func (r *reader) point() (p Point) {
	p.ID = ivd.PointID(r.text())
	datastore := ivd.DatastoreID(r.shared())
	p.Name, p.Datastore, p.Parent = r.shared(), r.shared(), ivd.PointID(r.text())
	p.Mode, p.Consistency, p.Policy = format.ReadMode(r.shared()), format.Consistency(r.shared()), r.shared()
	p.Time, p.SealedAt, p.Protected = r.time(), r.time(), r.time()
	flags := r.unsigned()
	p.Partial, p.told = flags&1 != 0, flags&2 != 0
	for _, n := range numbers(&p) {
		*n = r.signed()
	}
	p.Disk = ivd.NewDiskRef(p.ID.Source(), datastore, p.ID.Disk())
	return p
}

func (r *reader) time() time.Time {
	seconds, nanos := r.signed(), r.unsigned()
	return time.Unix(seconds, int64(nanos)).UTC()
}

func (r *reader) bytes() []byte {
	n := r.unsigned()
	if n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) text() string { return string(r.bytes()) }

func (r *reader) shared() string {
	b := r.bytes()
	if s, known := r.texts[string(b)]; known {
		return s
	}
	s := string(b)
	r.texts[s] = s
	return s
}

func (r *reader) unsigned() uint64 {
	n, size := binary.Uvarint(r.b)
	return take(r, n, size)
}

func (r *reader) signed() int64 {
	n, size := binary.Varint(r.b)
	return take(r, n, size)
}

func take[T any](r *reader, n T, size int) T {
	if size <= 0 {
		r.bad = true
		return n
	}
	r.b = r.b[size:]
	return n
}
