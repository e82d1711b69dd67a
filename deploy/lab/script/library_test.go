package script

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

// reader is the reader of JSON of the laboratory's library, in C, as a process of its
// own under AddressSanitizer: it is given texts, and answers with what it has
// understood.
type reader struct {
	mu  sync.Mutex
	in  io.Writer
	out *bufio.Reader
}

func startReader(tb testing.TB) *reader {
	tb.Helper()
	const lab = "../../../vddk/lab"
	program := filepath.Join(tb.TempDir(), "json")
	sources := []string{filepath.Join(lab, "check/json.c"), filepath.Join(lab, "json.c")}
	for _, s := range append(sources, filepath.Join(lab, "json.h")) {
		if _, err := os.ReadFile(s); err != nil { // a cached result does not outlive what gcc reads
			tb.Fatal(err)
		}
	}
	args := append([]string{"-std=c11", "-D_GNU_SOURCE", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover", "-o", program}, sources...)
	if out, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
		tb.Fatalf("gcc: %v\n%s", err, out)
	}
	cmd := exec.Command(program)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			tb.Errorf("the reader ended with %v", err)
		}
	})
	return &reader{in: in, out: bufio.NewReader(out)}
}

// read is what the library understands of a text; false where it is no JSON to it.
func (r *reader) read(tb testing.TB, text []byte) (string, bool) {
	tb.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.in.Write(append(binary.NativeEndian.AppendUint32(nil, uint32(len(text))), text...)); err != nil {
		tb.Fatalf("the reader is gone: %v", err)
	}
	var head [4]byte
	if _, err := io.ReadFull(r.out, head[:]); err != nil {
		tb.Fatalf("the reader died of %q: %v", text, err)
	}
	answer := make([]byte, binary.NativeEndian.Uint32(head[:]))
	if _, err := io.ReadFull(r.out, answer); err != nil {
		tb.Fatalf("the reader died of %q: %v", text, err)
	}
	return string(answer), len(answer) > 0
}

// seeds are files as they are, and what a hand or a disk makes of them.
func seeds(tb testing.TB) [][]byte {
	tb.Helper()
	dir := tb.TempDir()
	hosts := Hosts{
		NFCMemory: 48 << 20, Latency: Duration(2 * time.Millisecond), HotAdd: Pace{Latency: Duration(150 * time.Microsecond)},
		Proxies: []Proxy{{BIOSUUID: "4230", VM: "lab-vm-1", FreeSlots: 2, LUNs: []string{"datastore1", "a \"name\" with \\ and \n"}, Encrypted: true}, {}},
	}
	if err := WriteHosts(dir, hosts); err != nil {
		tb.Fatal(err)
	}
	if err := WriteFaults(dir, Fault{Call: "Open", Disk: "6f9e", Nth: 2, Times: Always, Shared: true, Do: Code(14009)}, Fault{Call: "Read", Do: Hang}); err != nil {
		tb.Fatal(err)
	}
	var list [][]byte
	for _, name := range []string{"hosts.json", "faults.json"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			tb.Fatal(err)
		}
		list = append(list, text)
	}
	for _, s := range []string{
		"", " ", "{", "[", "\"", "[\"\\", "[\"\\u00", `"\u0041\q"`, `"A\/"`, "{}x", "[1,]", `{"a"`, `{"a":`, `{"a":1,}`, "nul", "-", "1e999", "\xff\xfe", "[]\x00[",
		strings.Repeat("[", 40), strings.Repeat("[", 32) + strings.Repeat("]", 32), strings.Repeat(`{"":`, 33) + "1" + strings.Repeat("}", 33),
	} {
		list = append(list, []byte(s))
	}
	return list
}

// What the laboratory writes, the library reads, and nothing else comes of it.
func TestLibraryReadsWhatIsWritten(t *testing.T) {
	r := startReader(t)
	for _, text := range seeds(t)[:2] {
		answer, ok := r.read(t, text)
		if !ok || !reflect.DeepEqual(understood(t, []byte(answer)), understood(t, text)) {
			t.Errorf("of %s\nthe library understands %s", text, answer)
		}
	}
}

// understood is what Go understands of a JSON text, numbers as they are written.
func understood(tb testing.TB, text []byte) any {
	tb.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		tb.Fatalf("%q: %v", text, err)
	}
	return v
}

// Garbage kills nothing and is read to its end and no further. What is JSON is
// understood as Go understands it, but for escapes beyond ASCII and deep nesting,
// which the laboratory's files have not.
func FuzzLibraryReads(f *testing.F) {
	r := startReader(f)
	for _, text := range seeds(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		answer, ok := r.read(t, text)
		if !json.Valid(text) {
			return
		}
		beyond := bytes.Contains(text, []byte(`\u`)) || bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) > 30
		if !ok && !beyond || ok && !reflect.DeepEqual(understood(t, []byte(answer)), understood(t, text)) {
			t.Errorf("%q is understood as %q, %v", text, answer, ok)
		}
	})
}
