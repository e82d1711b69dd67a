package queue

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ivdmover/shared/ivd"
	"ivdmover/shared/pause"
)

const (
	tryTimeout      = 5 * time.Second  // of one request to the server
	defaultPatience = 30 * time.Second // see Options
	defaultAckWait  = 20 * time.Second // see Options
)

// InProcess is a server in the same process: package broker's. The token proves to it
// that the connection is its own process's.
type InProcess interface {
	InProcessConn() (net.Conn, error)
	Token() string
}

// Options say how to reach the queue. Either URL or InProcess is needed.
type Options struct {
	URL       string // nats://host:port, tls://host:port, several with commas; or one unix:///path
	CredsFile string // a NATS credentials file, the seed of an nkey, or empty
	CAFile    string // PEM of who signed the server's certificate, or empty for the system's
	InProcess InProcess
	Mover     string // or the part of a mover, whose connection it is; empty: a coordinator's
	Name      string // of another client, for the server's operator
	Log       *slog.Logger

	// AckWait is how long a delivery lives without a sign of progress, 20 s by
	// default. Setup writes it to the server, so it is the coordinator's to choose.
	AckWait time.Duration
	// Patience is how long a call tries again while the server is away, 30 s by
	// default. A context that ends sooner ends it sooner.
	Patience time.Duration
}

// Queue is a connection to the queue. Its methods are safe for concurrent use.
// A lost connection is made again for ever; calls wait for it for a while.
type Queue struct {
	nc       *nats.Conn
	js       jetstream.JetStream
	log      *slog.Logger
	ackWait  time.Duration
	patience time.Duration
	state    *Bucket
	records  *Bucket
	movers   *Bucket

	inProcess InProcess // nil: the server is elsewhere
	gate      *gate     // nil: it is in this process

	ctx   context.Context // ends with Close; for what runs in the background
	end   context.CancelFunc
	tasks sync.WaitGroup

	keeping sync.Once     // begins with the first Setup
	missed  chan struct{} // somebody misses a part of the queue
	hearing sync.Once     // begins with the first watch

	mu       sync.Mutex
	line     context.Context // ends, and is replaced, whenever the connection is lost
	lineLost context.CancelFunc
	renewal  context.Context // ends, and is replaced, whenever a part was made again
	renewing context.CancelFunc
	back     time.Time     // of the last reconnection
	returned chan struct{} // closed, and replaced, at each
}

// Connect makes the connection. The first attempt must succeed: it fails within
// some seconds for each server of the URL. Close ends what Connect began.
func Connect(ctx context.Context, o Options) (*Queue, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("connect to the queue: %w", err)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	q := &Queue{inProcess: o.InProcess, log: o.Log, ackWait: o.AckWait, patience: o.Patience, returned: make(chan struct{}), missed: make(chan struct{}, 1)}
	q.newLine()
	q.renewal, q.renewing = context.WithCancel(context.Background())
	if q.ackWait <= 0 {
		q.ackWait = defaultAckWait
	}
	if q.patience <= 0 {
		q.patience = defaultPatience
	}
	opts, err := q.natsOptions(o)
	if err != nil {
		return nil, err
	}
	if q.nc, err = reach(o, opts); err != nil {
		return nil, err
	}
	if q.gate != nil {
		q.gate.passed(q.nc)
	}
	if q.js, err = jetstream.New(q.nc, jetstream.WithDefaultTimeout(tryTimeout)); err != nil {
		q.nc.Close()
		return nil, fail(err, "connect to the queue")
	}
	q.ctx, q.end = context.WithCancel(context.Background())
	q.state = &Bucket{q: q, name: stateBucket}
	q.records = &Bucket{q: q, name: recordBucket}
	q.movers = &Bucket{q: q, name: moverBucket}
	return q, nil
}

func (q *Queue) natsOptions(o Options) ([]nats.Option, error) {
	opts := []nats.Option{
		nats.Timeout(tryTimeout),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // the gate decides
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(250*time.Millisecond, time.Second),
		nats.PingInterval(15 * time.Second),
		// A publish while the server is away fails at once, and is tried again where
		// that is right. Kept in a buffer it would happen after its caller gave up.
		nats.ReconnectBufSize(-1),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			q.newLine()
			if err != nil {
				q.log.Warn("queue connection lost", "error", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			if q.gate != nil {
				q.gate.passed(nc)
			}
			q.log.Info("queue connection is back", "server", nc.ConnectedUrlRedacted())
			q.mu.Lock()
			defer q.mu.Unlock()
			q.back = time.Now()
			close(q.returned)
			q.returned = make(chan struct{})
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if q.gate == nil || !q.gate.failed(err) {
				q.log.Warn("queue", "error", err)
			}
		}),
	}
	if o.Mover == "" {
		opts = append(opts, nats.Name(o.Name))
	} else if err := checkMover(o.Mover); err != nil {
		return nil, err
	} else {
		opts = append(opts, nats.Name(clientName(o.Mover)), nats.CustomInboxPrefix(inbox(o.Mover)))
	}
	q.gate = &gate{file: o.CredsFile, next: &net.Dialer{Timeout: tryTimeout}, log: o.Log, now: time.Now}
	switch {
	case o.InProcess != nil:
		q.gate = nil
		return append(opts, nats.InProcessServer(o.InProcess), nats.TokenHandler(o.InProcess.Token)), nil
	case o.socket() != "":
		q.gate.next = bySocket(o.socket())
		opts = append(opts, nats.SkipHostLookup())
	case o.URL == "":
		return nil, ivd.Errorf(ivd.Invalid, "connect to the queue: neither a URL nor a server in this process")
	}
	if err := q.gate.set(&nats.Options{}); err != nil { // what is wrong with them has nothing to do with a server
		return nil, err
	}
	if o.CAFile != "" {
		if _, err := os.Stat(o.CAFile); err != nil {
			return nil, unreadable("queue.ca_file", err)
		}
		opts = append(opts, nats.RootCAs(o.CAFile))
	}
	return append(opts, nats.SetCustomDialer(q.gate), q.gate.set), nil
}

func unreadable(key string, err error) error {
	return &ivd.Error{Kind: ivd.Invalid, Op: key, Err: err, Remedy: "name a file that this user can read"}
}

// Check reads what Connect reads before it asks anybody.
func Check(o Options) error {
	_, err := (&Queue{}).natsOptions(o)
	return err
}

// Close ends everything that the queue runs in the background, waits for it, and
// closes the connection. Deliveries that were not acknowledged are delivered again.
func (q *Queue) Close() {
	q.end()
	q.tasks.Wait()
	if q.nc.IsConnected() {
		_ = q.nc.FlushTimeout(tryTimeout) // acknowledgements that wait in the buffer; nobody is left to tell
	}
	q.nc.Close()
	q.newLine()
}

// background runs f until ctx or the queue ends; f must obey its context.
func (q *Queue) background(ctx context.Context, f func(context.Context)) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(q.ctx, cancel)
	q.tasks.Go(func() {
		defer stop()
		defer cancel()
		f(ctx)
	})
}

// onLine is a context that ends with ctx, after limit, or as soon as the
// connection is lost: the server forgets then what it was asked, and the library
// would wait for its answer.
func (q *Queue) onLine(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	q.mu.Lock()
	line := q.line
	q.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, limit)
	stop := context.AfterFunc(line, cancel)
	return ctx, func() { stop(); cancel() }
}

// justBack reports whether the connection came back less than d ago.
func (q *Queue) justBack(d time.Duration) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.back.IsZero() && time.Since(q.back) < d
}

// Returned is closed when a lost connection comes back next. A server that was
// started again has forgotten what was told to it for a while only, heartbeats for
// example.
func (q *Queue) Returned() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.returned
}

func (q *Queue) newLine() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.lineLost != nil {
		q.lineLost()
	}
	q.line, q.lineLost = context.WithCancel(context.Background())
}

// retry calls try, each time with a deadline of its own, until it succeeds, or
// fails with what time does not heal, or patience or ctx ends.
func (q *Queue) retry(ctx context.Context, try func(context.Context) error) error {
	b := pause.Backoff{First: 50 * time.Millisecond, Cap: time.Second, Patience: q.patience, Retry: mayPass}
	return b.Do(ctx, func(ctx context.Context) error {
		once, cancel := q.onLine(ctx, tryTimeout)
		defer cancel()
		err := unanswered(ctx, try(once))
		if isMissing(err) {
			q.miss()
		}
		if trouble := q.trouble(); err != nil && trouble != nil && answerable(err, 0) {
			return trouble
		}
		return err
	})
}

// mayPass reports whether a call is made again: credentials may be corrected meanwhile.
func mayPass(err error, n int) bool {
	return answerable(err, n) || ivd.KindOf(err) == ivd.Withheld
}

// trouble is why the server in this process does not answer, or why none is dialled, if
// that is known.
func (q *Queue) trouble() error {
	if q.gate != nil {
		return q.gate.trouble()
	}
	if s, ok := q.inProcess.(interface{ Trouble() error }); ok {
		return s.Trouble()
	}
	return nil
}

// answerable reports whether the server may answer another time.
func answerable(err error, _ int) bool {
	kind, _ := classify(err)
	return kind == ivd.Transient
}
