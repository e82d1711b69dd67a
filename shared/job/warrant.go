package job

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"strings"

	"ivdmover/shared/ivd"
)

// Warrant is a coordinator's word that a mover may ask for logins to a disk of a run
// outside of any job: it was asked to do something with the disk, or had a job of it,
// which may have left it attached. It is good for that mover, run and disk alone, and is
// no secret.
type Warrant string

// warrantContext begins what is signed, so that it is nothing else.
const warrantContext = "ivd warrant\n"

// NewWarrant signs one in the name of an issuer, whose key everybody who is to check it
// knows.
func NewWarrant(issuer string, key ed25519.PrivateKey, mover string, run ivd.RunID, disk ivd.DiskRef) Warrant {
	sig := ed25519.Sign(key, warranted(mover, run, disk))
	return Warrant(issuer + "." + base64.RawURLEncoding.EncodeToString(sig))
}

// Issuer is who has signed it, by its own account.
func (w Warrant) Issuer() string {
	issuer, _, _ := strings.Cut(string(w), ".")
	return issuer
}

// GoodFor reports whether the issuer, whose public key this is, has signed it for that
// mover, run and disk.
func (w Warrant) GoodFor(key []byte, mover string, run ivd.RunID, disk ivd.DiskRef) bool {
	_, text, _ := strings.Cut(string(w), ".")
	sig, err := base64.RawURLEncoding.DecodeString(text)
	return err == nil && len(key) == ed25519.PublicKeySize && ed25519.Verify(key, warranted(mover, run, disk), sig)
}

// warranted is what is signed. A disk may be relocated while its warrant is good.
func warranted(mover string, run ivd.RunID, disk ivd.DiskRef) []byte {
	text, err := json.Marshal([]string{mover, string(run), string(disk.Source()), string(disk.ID())})
	if err != nil {
		panic(err) // strings marshal
	}
	return append([]byte(warrantContext), text...)
}
