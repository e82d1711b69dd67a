package script

// Space is one entry of datastores.json: how large a datastore is and how much of it is
// free, in bytes.
type Space struct {
	Datastore string `json:"datastore"` // its name
	Capacity  int64  `json:"capacity"`
	Free      int64  `json:"free"`
	Shown     *int64 `json:"shown,omitempty"` // what its summary says is free until somebody has it refreshed; nil: what is
}

// WriteSpaces replaces datastores.json of a laboratory's folder. A datastore that it does
// not name stays as it is.
func WriteSpaces(dir string, spaces ...Space) error { return write(dir, "datastores.json", spaces) }

// ReadSpaces reads datastores.json; without one, nothing is said.
func ReadSpaces(dir string) ([]Space, error) {
	return read[[]Space](dir, "datastores.json")
}
