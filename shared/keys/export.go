package keys

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// Export is all that a coordinator that only backs up needs: it names contents, seals
// what movers read, seals and signs points. What opens a chunk is not in it, nor what
// signs that a point is forgotten or a pack deleted.
type Export struct {
	Version    int           `json:"ivd_backup_key"` // 1
	Repository string        `json:"repository"`
	Domain     ivd.DomainID  `json:"domain"`
	Cipher     string        `json:"cipher"`
	Hash       string        `json:"hash"`
	Root       format.Binary `json:"root"` // public; pinned, and so are the lines above
	Name       string        `json:"name"` // whose it is, as the ring says
	Created    time.Time     `json:"created"`
	Content    format.Binary `json:"id_key"`
	Metadata   format.Binary `json:"metadata_key"`
	Record     format.Binary `json:"record_key"`
	Signer     secretSigner  `json:"commit"`
}

// Names of the algorithms, as repo.json says them.
const (
	Cipher = "aes-256-gcm"
	Hash   = "blake3-256-keyed"
)

// Export makes an export for a domain with a signing key of its own, which the ring
// then knows: the ring must be stored before the export is used.
func (m *Master) Export(domain ivd.DomainID, name string, now time.Time) (Export, error) {
	d, err := m.domain(domain)
	if err != nil {
		return Export{}, err
	}
	e := Export{
		Version: 1, Repository: m.ring.Repository, Domain: domain, Cipher: Cipher, Hash: Hash, Root: m.ring.Root, Name: name, Created: now.UTC().Truncate(time.Second),
		Content: d.Content, Metadata: d.Metadata, Record: d.Record, Signer: m.addSigner(name, []format.Role{format.Commit}, now),
	}
	m.ring.Generation++
	return e, nil
}

// Encode is the file's content: secret.
func (e Export) Encode() ([]byte, error) {
	b, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the keys: %w", err)
	}
	return append(b, '\n'), nil
}

// DecodeExport reads the file's content.
func DecodeExport(b []byte) (Export, error) {
	var e Export
	if err := format.DecodeJSON(b, &e); err != nil {
		return Export{}, fmt.Errorf("it is no export of a repository's keys: %w", err)
	}
	if e.Version == 0 {
		return Export{}, ivd.Errorf(ivd.Invalid, "it is no export of a repository's keys")
	}
	if e.Version != 1 || e.Cipher != Cipher || e.Hash != Hash {
		return Export{}, &ivd.Error{Kind: ivd.Unsupported, Err: fmt.Errorf("version %d with cipher %q and hash %q", e.Version, e.Cipher, e.Hash), Remedy: "use a release of ivd that knows this format"}
	}
	if len(e.Root) != ed25519.PublicKeySize {
		return Export{}, ivd.Errorf(ivd.Corrupt, "a root key of %d bytes", len(e.Root))
	}
	return e, nil
}

// Access is what the export's holder works with, once it has read the ring with the
// root that the export pins.
func (e Export) Access(ring format.Ring) (*Access, error) {
	if ring.Repository != e.Repository || !slices.Equal(ring.Root, e.Root) {
		return nil, ivd.Errorf(ivd.Corrupt, "%s is that of repository %s, and the keys are of %s", ring.Object, ring.Repository, e.Repository)
	}
	d := secretDomain{Domain: e.Domain, Content: e.Content, Metadata: e.Metadata, Record: e.Record}
	a, err := newAccess(ring, holdings{d, []secretSigner{e.Signer}})
	if ivd.KindOf(err) == ivd.Corrupt { // another one's, or of before
		err = &ivd.Error{Kind: ivd.Corrupt, Err: err, Remedy: exportAgain}
	}
	return a, err
}
