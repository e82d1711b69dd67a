// Package queue is the client's side of the work queue: streams, consumers and
// buckets of NATS JetStream, and the messages and records that travel there. It
// hides how jobs are placed; the server, embedded or not, is somebody else's.
//
// What it promises: a job is delivered until its delivery is acknowledged, to
// one mover at a time as long as that mover says that it is in progress; records
// change by compare-and-swap only; nothing secret is ever stored. Delivery is at
// least once, so jobs are safe to repeat.
package queue
