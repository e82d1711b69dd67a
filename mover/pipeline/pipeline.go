// Package pipeline is the data path: it turns what is to be read of a disk into
// packs, nodes and pages of a repository, and brings them back to a disk.
//
// What it promises: the order of writing (data packs, then the index pack that
// names them, then the checkpoint that names both), so that whatever a checkpoint
// names is stored; memory within one budget over all jobs of a process; that it
// reads nothing which need not be read; that the first error ends a job and
// everything that it started has ended when Run returns. A job is safe to do
// twice, wholly or from any checkpoint.
//
// It never decides about attempts, leases or logins, and knows neither the queue
// nor VDDK: the worker hands it a disk, a repository and a function that stores
// checkpoints.
package pipeline

import (
	"context"
	"errors"

	"ivdmover/shared/ivd"
)

// Source is a disk that is read. Calls are concurrent and block; a call that has
// begun is waited for, also when the context ends.
type Source interface {
	// ReadAt fills buf, memory of a Buffer, from a byte offset.
	ReadAt(ctx context.Context, buf []byte, off int64) error
	// Allocated is what of an extent may hold other than zeros, in order, in units
	// of about granularity bytes.
	Allocated(ctx context.Context, e ivd.Extent, granularity int64) ([]ivd.Extent, error)
}

// Target is a disk that is written. Calls are as Source's.
type Target interface {
	WriteAt(ctx context.Context, buf []byte, off int64) error
	// Flush returns when all that was written before is durable.
	Flush(ctx context.Context) error
}

// ErrStopped is what Run returns when it was asked to stop: everything up to the
// last checkpoint is stored, the rest is somebody else's.
var ErrStopped = errors.New("stopped at a checkpoint on request")
