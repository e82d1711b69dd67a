package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// log hands the server's words to slog. What the server calls a notice is of no
// interest during a good night. What it calls fatal, and then goes on without, is
// the error of Start as long as that waits, and is logged afterwards.
type log struct {
	to    *slog.Logger
	fatal chan error

	mu    sync.Mutex
	after bool // Start no longer waits
}

func newLog(to *slog.Logger) *log {
	if to == nil {
		to = slog.New(slog.DiscardHandler)
	}
	return &log{to: to.With("part", "nats-server"), fatal: make(chan error, 1)}
}

// started ends Start's wait, with what was fatal until then.
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

// Fatalf keeps the first one for Start; those that follow are its consequences.
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
