package engine

import (
	"ivdmover/coordinator/admit"
	"ivdmover/shared/ivd"
)

// TokensOf are the tokens of one disk for each item, which ref finds in the item's
// body, of type B. An error of ref's: this coordinator cannot work on that disk.
func TokensOf[B any](items []Item, ref func(B) (ivd.DiskRef, error)) ([]admit.Token, error) {
	var tokens []admit.Token
	for _, it := range items {
		var body B
		if err := it.Decode(&body); err != nil {
			return nil, err
		}
		r, err := ref(body)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, admit.OfDisk(r)...)
	}
	return tokens, nil
}
