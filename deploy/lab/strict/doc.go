// Package strict holds tests alone: what the laboratory's library does beyond the
// network, and what it does not forgive, seen through the binding as a mover sees
// it. The process runs itself again with the library's environment.
package strict
