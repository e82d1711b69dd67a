package broker

import (
	"errors"
	"fmt"
	"log/slog"
)

// log hands the server's words to slog. What the server calls a notice is of no
// interest during a good night.
type log struct {
	to    *slog.Logger
	fatal chan error // the first fatal one; the server itself would only go on without
}

func newLog(to *slog.Logger) *log {
	if to == nil {
		to = slog.New(slog.DiscardHandler)
	}
	return &log{to: to.With("part", "nats-server"), fatal: make(chan error, 1)}
}

func (l *log) Noticef(format string, v ...any) { l.to.Debug(fmt.Sprintf(format, v...)) }
func (l *log) Debugf(format string, v ...any)  { l.to.Debug(fmt.Sprintf(format, v...)) }
func (l *log) Tracef(format string, v ...any)  { l.to.Debug(fmt.Sprintf(format, v...)) }
func (l *log) Warnf(format string, v ...any)   { l.to.Warn(fmt.Sprintf(format, v...)) }
func (l *log) Errorf(format string, v ...any)  { l.to.Error(fmt.Sprintf(format, v...)) }

func (l *log) Fatalf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	select {
	case l.fatal <- errors.New(text):
	default:
		l.to.Error(text)
	}
}
