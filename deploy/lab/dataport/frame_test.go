package dataport

import (
	"bytes"
	"encoding/binary"
	"testing"

	"ivdmover/shared/ivd"
)

func frame(op uint16, start, count uint64, length uint32, payload []byte) []byte {
	le := binary.LittleEndian
	h := le.AppendUint16([]byte("LNFQ"), version)
	h = le.AppendUint16(h, op)
	h = le.AppendUint64(h, 77)
	h = le.AppendUint64(h, start)
	h = le.AppendUint64(h, count)
	h = le.AppendUint32(h, length)
	return append(append(h, 0, 0, 0, 0), payload...)
}

func FuzzReadRequest(f *testing.F) {
	f.Add(frame(opRead, 8, 16, 0, nil))
	f.Add(frame(opWrite, 0, 1, 4, []byte("data")))
	f.Add(frame(opOpen, 0, 0, 1<<31, nil))
	f.Add([]byte("LNFR"))
	f.Fuzz(func(t *testing.T, b []byte) {
		q, err := readRequest(bytes.NewReader(b))
		if err != nil {
			return
		}
		if len(q.payload) > maxPayload || len(q.payload) != len(b[requestSize:requestSize+len(q.payload)]) {
			t.Fatalf("payload of %d bytes", len(q.payload))
		}
		if off, n, err := span(q); err == nil && (off < 0 || n < 0 || off+n < 0) {
			t.Fatalf("%d bytes at %d", n, off)
		}
	})
}

func TestChunksHoldTheirExtents(t *testing.T) {
	const k = 64 << 10
	for _, c := range []struct{ in, want []ivd.Extent }{
		{nil, nil},
		{[]ivd.Extent{{Offset: k, Length: k}}, []ivd.Extent{{Offset: 0, Length: 4 * k}}},
		{[]ivd.Extent{{Offset: 0, Length: k}, {Offset: 5 * k, Length: k}}, []ivd.Extent{{Offset: 0, Length: 8 * k}}},
		{[]ivd.Extent{{Offset: 0, Length: k}, {Offset: 8 * k, Length: k}}, []ivd.Extent{{Offset: 0, Length: 4 * k}, {Offset: 8 * k, Length: 2 * k}}},
	} {
		got := inChunks(c.in, 4*k, 10*k)
		if len(got) != len(c.want) {
			t.Fatalf("%v became %v", c.in, got)
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Fatalf("%v became %v", c.in, got)
			}
		}
	}
}

// Nobody else is told where the files are.
func TestWhoSharesTheMachine(t *testing.T) {
	for peer, want := range map[string]bool{
		"127.0.0.1:50000": true, "127.8.9.10:1": true, "[::1]:50000": true, "[::ffff:127.0.0.1]:1": true,
		"192.0.2.7:50000": false, "[2001:db8::1]:1": false, "[::ffff:192.0.2.7]:1": false, "": false, "localhost:1": false,
	} {
		if got := sharesMachine(peer); got != want {
			t.Errorf("%q: %v", peer, got)
		}
	}
}

func TestCookies(t *testing.T) {
	for in, want := range map[string]string{
		`vmware_soap_session="abc"; Path=/; HttpOnly`: "abc", `vmware_soap_session=abc`: "abc", "abc": "abc", `"abc"`: "abc", "": "",
	} {
		if got := cookieValue(in); got != want {
			t.Errorf("%s is %q, want %q", in, got, want)
		}
	}
}
