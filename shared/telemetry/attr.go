package telemetry

import (
	"log/slog"

	"ivdmover/shared/ivd"
)

// The keys of attributes that lines are searched by. One thing has one key.
const (
	RunKey     = "run"
	DiskKey    = "disk"
	JobKey     = "job"
	MoverKey   = "mover"
	AttemptKey = "attempt"
	ErrKey     = "err"
)

// Run names the run that a line is about.
func Run(id ivd.RunID) slog.Attr { return slog.String(RunKey, string(id)) }

// Disk names the disk that a line is about.
func Disk(id ivd.DiskID) slog.Attr { return slog.String(DiskKey, string(id)) }

// Job names the job that a line is about.
func Job(id ivd.JobID) slog.Attr { return slog.String(JobKey, string(id)) }

// Mover names the mover that a line is about.
func Mover(name string) slog.Attr { return slog.String(MoverKey, name) }

// Attempt counts the attempt that a line is about.
func Attempt(n int) slog.Attr { return slog.Int(AttemptKey, n) }

// Err is an error with its kind and its remedy, where it has them.
func Err(err error) slog.Attr {
	if err == nil {
		return slog.Attr{}
	}
	kind, remedy := ivd.KindOf(err), ivd.RemedyOf(err)
	if kind == ivd.Unknown && remedy == "" {
		return slog.Any(ErrKey, err)
	}
	attrs := []any{slog.Any(ErrKey, err)}
	if kind != ivd.Unknown {
		attrs = append(attrs, slog.String("kind", string(kind)))
	}
	if remedy != "" {
		attrs = append(attrs, slog.String("remedy", remedy))
	}
	return slog.Group("", attrs...) // without a name: its attributes are the line's
}
