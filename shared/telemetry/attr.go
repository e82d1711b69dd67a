package telemetry

import (
	"log/slog"

	"ivdmover/shared/ivd"
)

// Run is the run that a line is about.
func Run(id ivd.RunID) slog.Attr { return slog.String("run", string(id)) }

// Disk is the disk that a line is about.
func Disk(id ivd.DiskID) slog.Attr { return slog.String("disk", string(id)) }

// Job is the job that a line is about.
func Job(id ivd.JobID) slog.Attr { return slog.String("job", string(id)) }

// Mover is the mover that a line is about.
func Mover(name string) slog.Attr { return slog.String("mover", name) }

// Attempt is the number of the attempt that a line is about.
func Attempt(n int) slog.Attr { return slog.Int("attempt", n) }

// Err is an error with its kind and its remedy, where it has them.
func Err(err error) slog.Attr {
	if err == nil {
		return slog.Attr{}
	}
	kind, remedy := ivd.KindOf(err), ivd.RemedyOf(err)
	if kind == ivd.Unknown && remedy == "" {
		return slog.Any("err", err)
	}
	attrs := []any{slog.Any("err", err)}
	if kind != ivd.Unknown {
		attrs = append(attrs, slog.String("kind", string(kind)))
	}
	if remedy != "" {
		attrs = append(attrs, slog.String("remedy", remedy))
	}
	return slog.Group("", attrs...) // a group without a name adds its attributes to the line
}
