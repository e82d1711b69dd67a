package keys

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// File is a key file: the secret of a slot, and which repository it is for. Who has the
// file takes no other repository, and none that says that it is sealed otherwise.
type File struct {
	Version    int           `json:"ivd_key_file"` // 1
	Repository string        `json:"repository"`
	Domain     ivd.DomainID  `json:"domain"`
	Cipher     string        `json:"cipher"`
	Hash       string        `json:"hash"`
	Root       format.Binary `json:"root"` // public
	Name       string        `json:"name"` // the slot's
	Created    time.Time     `json:"created"`
	Secret     format.Binary `json:"secret"` // 32 bytes
}

// File makes a key file for a slot of that name.
func (m *Master) File(domain ivd.DomainID, name string, now time.Time) File {
	return File{
		Version: 1, Repository: m.ring.Repository, Domain: domain, Cipher: Cipher, Hash: Hash, Root: m.ring.Root,
		Name: name, Created: now.UTC().Truncate(time.Second), Secret: ivd.NewKey().Reveal(),
	}
}

// Encode is the file's content, one line: secret.
func (f File) Encode() ([]byte, error) {
	b, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode a key file: %w", err)
	}
	return append(b, '\n'), nil
}

// DecodeFile reads the file's content. Kind Unsupported: it is of a newer format. Kind
// Corrupt: it is no key file any more.
func DecodeFile(b []byte) (File, error) {
	var f File
	if err := format.DecodeJSON(b, &f); err != nil {
		return File{}, fmt.Errorf("it is no key file: %w", err)
	}
	if f.Version != 1 || f.Cipher != Cipher || f.Hash != Hash {
		return File{}, &ivd.Error{Kind: ivd.Unsupported, Err: fmt.Errorf("a key file of version %d with cipher %q and hash %q", f.Version, f.Cipher, f.Hash), Remedy: "use a release of ivd that knows this format"}
	}
	if len(f.Root) != ed25519.PublicKeySize || len(f.Secret) != len(ivd.Key{}) {
		return File{}, ivd.Errorf(ivd.Corrupt, "a key file with a root key of %d bytes and a secret of %d", len(f.Root), len(f.Secret))
	}
	return f, nil
}

// Recovery is what the code of a recovery sheet says: the secret of a slot, and which
// repository it is for. Of a secret that was typed the rest is zero.
type Recovery struct {
	Secret     ivd.Key
	Repository string
	Root       ivd.KeyID
}

// recoveryMark is what the code of a recovery sheet begins with; 1 is its version.
const recoveryMark = "IVD-RECOVERY:"

// Text is the code's content: secret. It is of the signs that a QR code packs well.
func (r Recovery) Text() string {
	return strings.ToUpper(fmt.Sprintf("%s1:%s:%s:%s", recoveryMark, r.Repository, r.Root, strings.Join(format.RecoveryLines(r.Secret), "-")))
}
