package engine

import (
	"ivdmover/coordinator/admit"
	"ivdmover/shared/ivd"
)

// TokensOf are the tokens of one disk for each item. Where finds it, and the host that it
// is opened through, in the item's body, of type B. An error of where's: this
// coordinator cannot work on that disk.
func TokensOf[B any](items []Item, where func(B) (ivd.DiskRef, ivd.HostID, error)) ([]admit.Token, error) {
	var tokens []admit.Token
	for _, it := range items {
		var body B
		if err := it.Decode(&body); err != nil {
			return nil, err
		}
		ref, host, err := where(body)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, admit.OfDisk(ref, host)...)
	}
	return tokens, nil
}
