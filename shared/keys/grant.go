package keys

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// Grant is what a coordinator gives a mover: how contents are named, and what nodes,
// pages and lists are sealed with. It signs nothing, and opens neither chunks nor
// points.
type Grant struct {
	Repository string        `json:"repository"`
	Domain     ivd.DomainID  `json:"domain"`
	Root       format.Binary `json:"root"` // public
	Content    format.Binary `json:"id_key"`
	Metadata   format.Binary `json:"metadata_key"`
}

// Grant is what movers of this process's domain get.
func (a *Access) Grant() Grant {
	return Grant{
		Repository: a.repository, Domain: a.keyring.Domain, Root: a.ring.Root,
		Content: a.content.Reveal(), Metadata: a.seals[format.ByMetadata].key.Reveal(),
	}
}

// Encode is the grant as it travels, sealed.
func (g Grant) Encode() ([]byte, error) {
	b, err := json.Marshal(g)
	if err != nil {
		return nil, fmt.Errorf("encode a grant: %w", err)
	}
	return b, nil
}

// DecodeGrant reads what Encode made.
func DecodeGrant(b []byte) (Grant, error) {
	var g Grant
	if err := format.DecodeJSON(b, &g); err != nil {
		return Grant{}, fmt.Errorf("the keys that the coordinator sent: %w", err)
	}
	if len(g.Root) != ed25519.PublicKeySize {
		return Grant{}, ivd.Errorf(ivd.Corrupt, "the keys that the coordinator sent: a root key of %d bytes", len(g.Root))
	}
	return g, nil
}

// Access is what a mover works with, once it has read the ring.
func (g Grant) Access(ring format.Ring) (*Access, error) {
	return newAccess(ring, holdings{domain: secretDomain{Domain: g.Domain, Content: g.Content, Metadata: g.Metadata}})
}
