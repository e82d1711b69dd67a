package keys

import "log/slog"

// hidden is what values that hold keys print as, in logs and errors, too.
const hidden = "[secret]"

// String keeps its keys out of logs and errors.
func (*Master) String() string { return hidden }

// GoString keeps them out of %#v.
func (*Master) GoString() string { return hidden }

// LogValue keeps them out of slog's handlers.
func (*Master) LogValue() slog.Value { return slog.StringValue(hidden) }

// String keeps its keys out of logs and errors.
func (*Access) String() string { return hidden }

// GoString keeps them out of %#v.
func (*Access) GoString() string { return hidden }

// LogValue keeps them out of slog's handlers.
func (*Access) LogValue() slog.Value { return slog.StringValue(hidden) }

// String keeps its keys out of logs and errors.
func (Export) String() string { return hidden }

// GoString keeps them out of %#v.
func (Export) GoString() string { return hidden }

// LogValue keeps them out of slog's handlers.
func (Export) LogValue() slog.Value { return slog.StringValue(hidden) }

// String keeps its keys out of logs and errors.
func (Grant) String() string { return hidden }

// GoString keeps them out of %#v.
func (Grant) GoString() string { return hidden }

// LogValue keeps them out of slog's handlers.
func (Grant) LogValue() slog.Value { return slog.StringValue(hidden) }

// String keeps its keys out of logs and errors.
func (File) String() string { return hidden }

// GoString keeps them out of %#v.
func (File) GoString() string { return hidden }

// LogValue keeps them out of slog's handlers.
func (File) LogValue() slog.Value { return slog.StringValue(hidden) }

// LogValue keeps it out of slog's handlers.
func (Opening) LogValue() slog.Value { return slog.StringValue(hidden) }
