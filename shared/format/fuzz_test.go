package format_test

import (
	"bytes"
	"runtime"
	"runtime/metrics"
	"testing"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// bounded fails when f allocates more than a constant and a multiple of its input. f is
// called once more where it seems to.
func bounded(t *testing.T, input int, constant, factor uint64, f func()) {
	t.Helper()
	limit := constant + factor*uint64(input)
	if allocated(f) <= limit {
		return
	}
	if got := allocatedExactly(f); got > limit {
		t.Fatalf("%d bytes allocated for an input of %d, want at most %d", got, input, limit)
	}
}

const heapAllocs = "/gc/heap/allocs:bytes"

// allocated is how many bytes f allocates, as far as it can be told without stopping the
// world: what is large is counted at once, small things a span at a time.
func allocated(f func()) uint64 {
	sample := []metrics.Sample{{Name: heapAllocs}}
	metrics.Read(sample)
	before := sample[0].Value.Uint64()
	f()
	metrics.Read(sample)
	return sample[0].Value.Uint64() - before
}

// allocatedExactly stops the world twice, which takes a fuzzing process that has others
// beside it seconds.
func allocatedExactly(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// What the fuzz targets are bounded by sees an allocation that an input's length field
// could ask for, and no more than there is.
func TestAllocationsAreSeen(t *testing.T) {
	var keep []byte
	for _, n := range []int{1 << 20, 16 << 20} {
		f := func() { keep = make([]byte, n) }
		if got := allocated(f); got < uint64(n) || uint64(len(keep)) != uint64(n) {
			t.Errorf("%d bytes seen of %d", got, n)
		}
		if got := allocatedExactly(f); got < uint64(n) || got > uint64(n)+1<<20 {
			t.Errorf("%d bytes counted of %d", got, n)
		}
	}
}

// refused is how untrusted bytes may be answered.
func refused(t *testing.T, err error) {
	t.Helper()
	if k := ivd.KindOf(err); k != ivd.Corrupt && k != ivd.Unsupported {
		t.Fatalf("error of kind %q: %v", k, err)
	}
}

// A frame's plain content may be MaxPlain; decoders of zstd cost some more.
const frameMemory = 4 * format.MaxPlain

// seeds are an object in order, and with everything that is not known of it.
func seeds(f *testing.F, object string, add func(b []byte)) {
	good := readers(f)[object].good
	add(good)
	for _, u := range unknowns {
		if u.object == object {
			u.each(good, func(_ string, b []byte) { add(b) })
		}
	}
}

func FuzzOpenFrame(f *testing.F) {
	seeds(f, "frame", func(b []byte) { f.Add(b) })
	pack := readGolden(f, "data.pack")
	_, entries, err := format.DecodePack(pack, nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range entries {
		f.Add(pack[e.Offset : e.Offset+e.Length])
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		var want ivd.ContentID
		if len(frame) >= format.FrameHeaderSize {
			want = ivd.ContentID(frame[24:56])
		}
		bounded(t, len(frame), frameMemory, 16, func() {
			plain, err := new(format.Opener).Frame(nil, frame, want)
			if err != nil {
				refused(t, err)
			} else if format.Sum(plain) != want {
				t.Fatal("content that is not what was asked for")
			}
		})
	})
}

func FuzzDecodePack(f *testing.F) {
	f.Add(readGolden(f, "data.pack"))
	f.Add(readGolden(f, "index.pack"))
	whole := readGolden(f, "data.pack")
	seeds(f, "pack header", func(b []byte) { f.Add(append(bytes.Clone(b), whole[len(b):]...)) })
	seeds(f, "trailer", func(b []byte) { f.Add(append(bytes.Clone(whole[:len(whole)-len(b)]), b...)) })
	f.Fuzz(func(t *testing.T, pack []byte) {
		bounded(t, len(pack), 2*frameMemory, 16, func() {
			if _, _, err := format.DecodePack(pack, nil); err != nil {
				refused(t, err)
			}
			if _, err := format.ReadPackHeader(pack); err != nil {
				refused(t, err)
			}
			if _, err := format.ReadTrailer(pack[max(len(pack)-format.TrailerSize, 0):], int64(len(pack)), format.CipherAES); err != nil {
				refused(t, err)
			}
		})
	})
}

// FuzzReadDirectory reads a directory whose frame and trailer are in order, and
// whose entries are anything.
func FuzzReadDirectory(f *testing.F) {
	seeds(f, "directory entry", func(b []byte) { f.Add(b, uint32(format.PackHeaderSize)+format.FrameOverhead+500) })
	for _, name := range []string{"data.pack", "index.pack"} {
		pack := readGolden(f, name)
		tr, err := format.ReadTrailer(pack[len(pack)-format.TrailerSize:], int64(len(pack)), format.CipherNone)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(pack[tr.Offset+format.FrameHeaderSize:tr.Offset+tr.Length-format.TagSize], tr.Offset)
	}
	f.Fuzz(func(t *testing.T, entries []byte, offset uint32) {
		if len(entries)%48 != 0 || len(entries) > format.MaxChunk {
			return
		}
		p := format.NewPack(header(format.DataPack, 0), nil)
		add(p, format.ChunkFrame, entries, 0)
		frame, _ := p.Finish()
		frame = frame[format.PackHeaderSize : format.PackHeaderSize+len(entries)+format.FrameOverhead]
		frame[5], frame[8] = byte(format.DirectoryFrame), byte(len(entries)/48)
		frame[9], frame[10] = byte(len(entries)/48>>8), byte(len(entries)/48>>16)
		tr := format.Trailer{Frames: uint32(len(entries) / 48), Offset: offset, Length: uint32(len(frame))}
		bounded(t, len(frame), 1<<16, 16, func() {
			got, err := new(format.Opener).Directory(frame, tr)
			if err != nil {
				refused(t, err)
				return
			}
			end := uint64(format.PackHeaderSize)
			for _, e := range got {
				if uint64(e.Offset) != end {
					t.Fatal("frames with a gap")
				}
				end += uint64(e.Length)
			}
			if end != uint64(offset) {
				t.Fatal("frames that end elsewhere")
			}
		})
	})
}

func FuzzDecodeNode(f *testing.F) {
	f.Add(readGolden(f, "node"), int64(1), goldenGeometry.Capacity)
	seeds(f, "node", func(b []byte) { f.Add(b, int64(1), goldenGeometry.Capacity) })
	f.Fuzz(func(t *testing.T, b []byte, span, capacity int64) {
		g := ivd.Geometry{Capacity: capacity, ChunkSize: ivd.DefaultChunkSize}
		if g.Validate() != nil || span < 0 || span >= int64(g.Spans()) {
			return
		}
		bounded(t, len(b), 1<<18, 16, func() {
			n, err := format.DecodeNode(b, g, ivd.SpanIndex(span))
			if err != nil {
				refused(t, err)
				return
			}
			if again, err := n.Encode(); err != nil || !bytes.Equal(again, b) {
				t.Fatalf("a node that is accepted is written differently: %v", err)
			}
		})
	})
}

func FuzzDecodePage(f *testing.F) {
	f.Add(readGolden(f, "page"), int64(0), goldenGeometry.Capacity)
	seeds(f, "page", func(b []byte) { f.Add(b, int64(0), goldenGeometry.Capacity) })
	f.Fuzz(func(t *testing.T, b []byte, page, capacity int64) {
		g := ivd.Geometry{Capacity: capacity, ChunkSize: ivd.DefaultChunkSize}
		if g.Validate() != nil || page < 0 || page >= int64(g.Pages()) {
			return
		}
		bounded(t, len(b), 1<<18, 32, func() {
			p, err := format.DecodePage(b, g, ivd.PageIndex(page))
			if err != nil {
				refused(t, err)
				return
			}
			if again, err := p.Encode(); err != nil || !bytes.Equal(again, b) {
				t.Fatalf("a page that is accepted is written differently: %v", err)
			}
		})
	})
}

// FuzzRecord reads a body, whose envelope is in order, as each kind of record,
// and the bytes as they are.
func FuzzRecord(f *testing.F) {
	for _, name := range []string{"point", "lease", "writer", "condemned", "retired", "verified", "run", "hooks", "restored", "packs", "signed", "waits", "done", "forgotten", "pin", "hold", "quarantined", "store"} {
		f.Add(readGolden(f, name)[format.RecordHeaderSize:])
		f.Add(readGolden(f, name))
	}
	all := decoders()
	all[format.UnretiredMagic] = func(b []byte) error {
		_, err := format.DecodePackList(format.UnretiredMagic, b, at(markObject))
		return err
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for magic, decode := range all {
			sealed, err := format.SealRecord(magic, b)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := format.OpenRecord(magic, b); err != nil {
				refused(t, err)
			}
			for _, input := range [][]byte{sealed, b} {
				bounded(t, len(input), 1<<18, 400, func() {
					if err := decode(input); err != nil {
						refused(t, err)
					}
				})
			}
		}
	})
}

// decoders are those of all kinds of record, each for the golden one.
func decoders() map[format.Magic]func([]byte) error {
	return map[format.Magic]func([]byte) error{
		format.PointMagic:     func(b []byte) error { _, err := format.DecodePoint(b, repository, goldenPoint); return err },
		format.LeaseMagic:     func(b []byte) error { _, err := format.DecodeLease(b, repository, goldenLease); return err },
		format.WriterMagic:    func(b []byte) error { _, err := format.DecodeWriter(b, at(writerObject)); return err },
		format.CondemnedMagic: func(b []byte) error { _, err := format.DecodeCondemned(b, at(listObject)); return err },
		format.HooksMagic:     func(b []byte) error { _, err := format.DecodeHooks(b, at(hooksObject)); return err },
		format.WaitsMagic:     func(b []byte) error { _, err := format.DecodeWaits(b, at(waitsObject)); return err },
		format.DoneMagic:      func(b []byte) error { _, err := format.DecodeDone(b, at(doneObject)); return err },
		format.RestoredMagic:  func(b []byte) error { _, err := format.DecodeRestored(b, at(endObject)); return err },
		format.RunMagic:       func(b []byte) error { _, err := format.DecodeRun(b, at(runObject)); return err },
		format.SignedMagic:    func(b []byte) error { _, err := format.DecodeSigned(b, at(signedObject)); return err },
		format.StoreMagic:     func(b []byte) error { _, err := format.DecodeStoreVerdict(b, at(format.StoreObject)); return err },
		format.StoredMagic:    func(b []byte) error { _, err := format.DecodeStoredPacks(b, at(packsObject)); return err },
		format.ForgottenMagic: func(b []byte) error { _, err := format.DecodeForgotten(b, repository, goldenPoint); return err },
		format.PinMagic:       func(b []byte) error { _, err := format.DecodePin(b, repository, goldenPoint); return err },
		format.HoldMagic:      func(b []byte) error { _, err := format.DecodeHold(b, repository, goldenPoint); return err },
		format.QuarantinedMagic: func(b []byte) error {
			_, err := format.DecodeQuarantined(b, repository, goldenPoint)
			return err
		},
		format.RetiredMagic: func(b []byte) error {
			_, err := format.DecodePackList(format.RetiredMagic, b, at(markObject))
			return err
		},
		format.VerifiedMagic: func(b []byte) error {
			_, err := format.DecodePackList(format.VerifiedMagic, b, at(proofObject))
			return err
		},
	}
}
