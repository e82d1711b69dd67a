package job

// GrantRequest is a mover's question for the keys that movers have of an encrypted
// repository. The answer travels sealed, and is never stored.
type GrantRequest struct {
	Version    int    `json:"version"`
	Mover      string `json:"mover"`
	Process    string `json:"process"`
	Repository string `json:"repository"` // its id
}
