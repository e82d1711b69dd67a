package job

// Depth is how much of a restore point a verification reads.
type Depth string

// The depths.
const (
	Structure Depth = "structure" // pages, nodes and directories, and no content
	Sample    Depth = "sample"    // a part of the disk
	Whole     Depth = "whole"     // every chunk
)

// VerifySpec is how a verification reads.
type VerifySpec struct {
	Depth   Depth `json:"depth"`
	Percent int   `json:"percent,omitempty"` // of Sample: how much of the disk is read, 1 to 100
}
