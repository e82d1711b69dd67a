package ivd

// Damage is a pack that is not what was stored.
type Damage struct {
	Pack  PackID `json:"pack"`
	Index bool   `json:"index,omitempty"` // an index pack, not a data pack
	Why   string `json:"why"`             // as it follows the pack's name: "is missing"
}
