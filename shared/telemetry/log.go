// Package telemetry is how both programs log: the logger, the attributes that lines
// are searched by, each under one key, and how figures are formatted for people.
//
// A secret (ivd.Secret) never reaches a log, wherever in a value it is. The package
// never decides what is logged, and keeps no state.
package telemetry

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	"ivdmover/shared/ivd"
)

// Options say how to log.
type Options struct {
	Format string     // "text", or "json": one object a line
	Level  slog.Level // the least that is logged
}

// ParseLevel reads "debug", "info", "warn" or "error".
func ParseLevel(s string) (slog.Level, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(s)); err != nil {
		return l, &ivd.Error{Kind: ivd.Invalid, Op: fmt.Sprintf("log level %q", s), Err: err, Remedy: "use debug, info, warn or error"}
	}
	return l, nil
}

// NewLogger returns a logger that writes to w.
func NewLogger(w io.Writer, o Options) (*slog.Logger, error) {
	h := &slog.HandlerOptions{Level: o.Level, ReplaceAttr: tidy}
	switch o.Format {
	case "", "text":
		return slog.New(slog.NewTextHandler(w, h)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(escaped{w}, h)), nil
	}
	return nil, &ivd.Error{Kind: ivd.Invalid, Op: "log format", Err: fmt.Errorf("%q is not known", o.Format), Remedy: "use text or json"}
}

// tidy replaces values that slog's handlers would print by reflection although a
// secret is inside, and keeps an error on one line.
func tidy(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() != slog.KindAny {
		return a
	}
	switch v := a.Value.Any().(type) {
	case error:
		return slog.String(a.Key, strings.ReplaceAll(v.Error(), "\n", "; "))
	case *slog.Source, fmt.Stringer:
		return a
	default:
		if holdsSecret(v) {
			return slog.String(a.Key, "[secret]")
		}
	}
	return a
}
