package format

import (
	"encoding/json"
	"fmt"
	"slices"

	"ivdmover/shared/ivd"
)

// Magic is the kind of a record: the first 8 bytes of its object.
type Magic string

// The kinds of record. Those that nothing here writes yet are known all the same:
// one of them under another kind's name is damage, and not something new.
const (
	PointMagic       Magic = "IVDPOINT"
	LeaseMagic       Magic = "IVDLEASE"
	WriterMagic      Magic = "IVDWRITR"
	ForgottenMagic   Magic = "IVDFORGT"
	PinMagic         Magic = "IVDPIN\x00\x00"
	HoldMagic        Magic = "IVDHOLD\x00"
	RetiredMagic     Magic = "IVDRETIR"
	UnretiredMagic   Magic = "IVDUNRET"
	VerifiedMagic    Magic = "IVDVERIF"
	QuarantinedMagic Magic = "IVDQUARN"
	CondemnedMagic   Magic = "IVDCONDM"
	WaitsMagic       Magic = "IVDWAITS"
	DoneMagic        Magic = "IVDDONE\x00"
	HooksMagic       Magic = "IVDHOOKS"
	RingMagic        Magic = "IVDRING\x00"
	SlotMagic        Magic = "IVDKEYSL"
	RunMagic         Magic = "IVDSUMMA"
	RestoredMagic    Magic = "IVDRSEND"
	DrillMagic       Magic = "IVDDRILL"
	StoreMagic       Magic = "IVDSTORE"
	ErasedMagic      Magic = "IVDERASD"
	StoredMagic      Magic = "IVDPACKS"
	SignedMagic      Magic = "IVDRSIGN"
)

// Magics are all kinds of record.
var Magics = []Magic{
	PointMagic, LeaseMagic, WriterMagic, ForgottenMagic, PinMagic, HoldMagic, RetiredMagic, UnretiredMagic, VerifiedMagic,
	QuarantinedMagic, CondemnedMagic, WaitsMagic, DoneMagic, HooksMagic, RingMagic, SlotMagic, RunMagic, RestoredMagic,
	DrillMagic, StoreMagic, ErasedMagic, StoredMagic, SignedMagic,
}

const (
	// RecordHeaderSize is the bytes before a record's body.
	RecordHeaderSize = 112
	// MaxRecord bounds a record with its header and its signature.
	MaxRecord = 64 << 20
	// RecordVersion is the version of all records that is written here, and the
	// newest one that is read.
	RecordVersion = 1
)

// Where a record's header has what.
const (
	recordCipher    = 10
	recordAlgorithm = 11
	recordSignature = 12 // its length
	recordKey       = 16
	recordNonce     = 32
	recordBody      = 64 // its length
	recordReserved  = 72
	recordSum       = 80
)

// Head is what every record's body begins with: whose it is, what it is called,
// and who wrote it.
type Head struct {
	Repository string       `json:"repository"`
	Domain     ivd.DomainID `json:"domain"`
	Object     string       `json:"object"`  // its full name
	Program    string       `json:"program"` // which wrote it, and its version
	// Requires names what a reader must understand to read the rest.
	Requires []string `json:"requires,omitempty"`
}

// At is where a record was found. A record that does not say the same of itself
// was put there by a mistake, or by somebody.
type At struct {
	Repository string
	Domain     ivd.DomainID // zero: of any, since the name does not say
	Object     string
}

// requirements are what Head.Requires may name and this release understands.
var requirements []string

func (h Head) check(at At) error {
	for _, word := range h.Requires {
		if !slices.Contains(requirements, word) {
			return unsupported("%s requires %q, which this release does not know", at.Object, word)
		}
	}
	if h.Repository != at.Repository || h.Object != at.Object {
		return corrupt("%s: it is %s of repository %s", at.Object, h.Object, h.Repository)
	}
	if h.Domain != at.Domain && !at.Domain.IsZero() {
		return corrupt("%s: it is of domain %s", at.Object, h.Domain)
	}
	return nil
}

// SealRecord puts a body into its envelope, neither encrypted nor signed.
func SealRecord(magic Magic, body []byte) ([]byte, error) {
	if len(magic) != 8 || len(body) > MaxRecord-RecordHeaderSize {
		return nil, fmt.Errorf("seal record %q of %d bytes: want at most %d", magic, len(body), MaxRecord-RecordHeaderSize)
	}
	sum := blake3Sum(body)
	b := make([]byte, RecordHeaderSize, RecordHeaderSize+len(body))
	copy(b, magic)
	le.PutUint16(b[8:], RecordVersion)
	b[recordCipher], b[recordAlgorithm] = byte(CipherNone), signatureNone
	le.PutUint64(b[recordBody:], uint64(len(body)))
	copy(b[recordSum:], sum[:])
	return append(b, body...), nil
}

// OpenRecord checks the envelope of a record in the clear and returns the body, a part
// of b. Kind Corrupt, too: the record is protected, as none of a plain repository is.
func OpenRecord(magic Magic, b []byte) ([]byte, error) {
	if len(b) < RecordHeaderSize {
		return nil, corrupt("record of %d bytes: want at least %d", len(b), RecordHeaderSize)
	}
	if err := checkRecordHeader(magic, b[:RecordHeaderSize]); err != nil {
		return nil, err
	}
	if b[recordCipher] != byte(CipherNone) || b[recordAlgorithm] != signatureNone {
		return nil, corrupt("record %q with cipher %d and signature algorithm %d, in a plain repository", magic, b[recordCipher], b[recordAlgorithm])
	}
	body, _, err := splitRecord(b)
	return body, err
}

// splitRecord is the body as it is stored, which matches its checksum, and the
// signature behind it.
func splitRecord(b []byte) (body, signature []byte, err error) {
	n, s := le.Uint64(b[recordBody:]), uint64(le.Uint32(b[recordSignature:]))
	rest := b[RecordHeaderSize:]
	if s > uint64(len(rest)) || n != uint64(len(rest))-s {
		return nil, nil, corrupt("record of %d bytes where its header says a body of %d and a signature of %d", len(b), n, s)
	}
	body, signature = rest[:n], rest[n:]
	if blake3Sum(body) != [32]byte(b[recordSum:RecordHeaderSize]) {
		return nil, nil, corrupt("record body does not match its checksum")
	}
	return body, signature, nil
}

// checkRecordHeader refuses what is not known, and what cannot be.
func checkRecordHeader(magic Magic, h []byte) error {
	what := fmt.Sprintf("record %q", magic)
	if got := Magic(h[:8]); got != magic {
		if slices.Contains(Magics, got) {
			return corrupt("record of kind %q where one of kind %q belongs", got, magic)
		}
		return unsupported("record of kind %q, which this release does not know, where one of kind %q belongs", got, magic)
	}
	if err := checkVersion(what, int(le.Uint16(h[8:])), RecordVersion); err != nil {
		return err
	}
	if err := checkCipher(what, Cipher(h[recordCipher])); err != nil {
		return err
	}
	zero := map[string][]byte{"header": h[recordReserved:recordSum]}
	if h[recordCipher] == byte(CipherNone) {
		zero["key id and nonce without a cipher"] = h[recordKey:recordBody]
	}
	switch h[recordAlgorithm] {
	case signatureNone:
		zero["signature without an algorithm"] = h[recordSignature:recordKey]
	case signatureEd25519:
		if n := le.Uint32(h[recordSignature:]); n != signatureBlock {
			return corrupt("%s with a signature of %d bytes, want %d", what, n, signatureBlock)
		}
	default:
		return unsupported("%s with signature algorithm %d, which this release does not know", what, h[recordAlgorithm])
	}
	for where, reserved := range zero {
		if err := checkReserved(what+": "+where, reserved); err != nil {
			return err
		}
	}
	return nil
}

// encodeRecord seals v's JSON. What its own reader would refuse is not written.
func encodeRecord(magic Magic, v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode record %q: %w", magic, err)
	}
	if _, err := strict(body); err != nil {
		return nil, fmt.Errorf("encode record %q: %w", magic, err)
	}
	return SealRecord(magic, body)
}

// decodeRecord is encodeRecord's inverse. What the record requires is looked at
// before anything else of its body.
func decodeRecord(magic Magic, b []byte, at At, v any) error {
	body, err := OpenRecord(magic, b)
	if err != nil {
		return err
	}
	var h Head
	if err := DecodeJSON(body, &h); err != nil {
		return fmt.Errorf("record %q: %w", magic, err)
	}
	if err := h.check(at); err != nil {
		return err
	}
	if err := DecodeJSON(body, v); err != nil {
		return fmt.Errorf("record %q: %w", magic, err)
	}
	return nil
}

// known refuses a word that is none of those that this release knows.
func known[T ~string](what string, word T, words ...T) error {
	if !slices.Contains(words, word) {
		return unsupported("%s is %q, which this release does not know", what, word)
	}
	return nil
}
