package cli

import (
	"context"
	"io"
)

// Extra are commands that this package may not import: main.go brings the
// laboratory and the demo.
type Extra struct {
	Lab      func(context.Context, LabOptions) error
	LabWrite func(context.Context, LabWriteOptions) error
	Demo     func(context.Context, DemoOptions) error
}

// LabOptions are the options of `ivd lab`. The function runs until the context ends and
// writes one line of JSON to Out when the laboratory is ready.
type LabOptions struct {
	Dir      string
	Listen   string
	ESX      bool
	Disks    int
	DiskSize int64 // bytes
	Out      io.Writer
}

// LabWriteOptions are the options of `ivd lab write`: a guest's write.
type LabWriteOptions struct {
	Dir     string
	Disk    string // its id
	Offset  int64
	Content io.Reader
}

// DemoOptions are the options of `ivd demo`. Zero values are the demo's own defaults.
type DemoOptions struct {
	Keep       bool
	Disks      int
	Size       int64  // bytes of each disk
	Repository string // URL; empty: a folder that goes at the end
	JSON       bool   // the result as one object
	Out, Err   io.Writer
}
