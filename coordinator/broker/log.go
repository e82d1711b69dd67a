package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// log passes the server's lines to slog. Its notices are debug lines: an operator does
// not need them. The server goes on after what it calls fatal; that is the error of
// Start while Start waits, and an error line afterwards.
type log struct {
	to    *slog.Logger
	fatal chan error

	mu    sync.Mutex
	after bool // Start has stopped waiting
}

func newLog(to *slog.Logger) *log {
	if to == nil {
		to = slog.New(slog.DiscardHandler)
	}
	return &log{to: to.With("part", "nats-server"), fatal: make(chan error, 1)}
}

// starting begins it again, for a server that is started anew.
func (l *log) starting() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.after = false
}

// started ends Start's wait. It returns the fatal error until then, if there is one.
func (l *log) started() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.after = true
	select {
	case err := <-l.fatal:
		return err
	default:
		return nil
	}
}

func (l *log) Noticef(format string, v ...any) { l.to.Debug(fmt.Sprintf(format, v...)) }
func (l *log) Debugf(format string, v ...any)  { l.to.Debug(fmt.Sprintf(format, v...)) }
func (l *log) Tracef(format string, v ...any)  { l.to.Debug(fmt.Sprintf(format, v...)) }
func (l *log) Warnf(format string, v ...any)   { l.to.Warn(fmt.Sprintf(format, v...)) }
func (l *log) Errorf(format string, v ...any)  { l.to.Error(fmt.Sprintf(format, v...)) }

// Fatalf keeps the first error for Start; later ones follow from it.
func (l *log) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := fmt.Sprintf(format, v...)
	if l.after {
		l.to.Error(text)
		return
	}
	select {
	case l.fatal <- errors.New(text):
	default:
	}
}
