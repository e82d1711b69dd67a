package job

import "ivdmover/shared/ivd"

// Depth is what a verification reads.
type Depth string

// The depths. The first three are of a restore point, the others of packs.
const (
	Structure Depth = "structure" // pages, nodes and directories, and no content
	Sample    Depth = "sample"    // a part of the disk
	Whole     Depth = "whole"     // every chunk
	Proof     Depth = "proof"     // packs are read whole, and every frame is opened
	Scrub     Depth = "scrub"     // packs are read whole, and compared with their names: no key is needed
)

// VerifySpec is how a verification reads.
type VerifySpec struct {
	Depth   Depth      `json:"depth"`
	Percent int        `json:"percent,omitempty"` // of Sample: how much of the disk is read, 1 to 100
	Packs   []PackWork `json:"packs,omitempty"`   // of Proof, in order
	Writer  string     `json:"writer,omitempty"`  // of Proof: the mover that stored the packs, which leaves them to others for a while
	Folder  *Folder    `json:"folder,omitempty"`  // of Scrub: all packs that are there
}

// PackWork is a data pack that is to be proven.
type PackWork struct {
	Ref    ivd.PackRef `json:"ref"`
	Length int64       `json:"length"` // in bytes
}

// Folder is where the packs of a kind lie whose ids begin with the same byte.
type Folder struct {
	Index bool `json:"index,omitempty"` // index packs; else data packs
	First byte `json:"first"`
}

// MaxProof bounds the packs of one job.
const MaxProof = 500
