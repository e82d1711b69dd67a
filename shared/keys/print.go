package keys

import "log/slog"

// hidden is what values that hold keys print as, in logs and errors, too.
const hidden = "[secret]"

func (*Master) String() string       { return hidden }
func (*Master) GoString() string     { return hidden }
func (*Master) LogValue() slog.Value { return slog.StringValue(hidden) }

func (*Access) String() string       { return hidden }
func (*Access) GoString() string     { return hidden }
func (*Access) LogValue() slog.Value { return slog.StringValue(hidden) }

func (Export) String() string       { return hidden }
func (Export) GoString() string     { return hidden }
func (Export) LogValue() slog.Value { return slog.StringValue(hidden) }

func (Grant) String() string       { return hidden }
func (Grant) GoString() string     { return hidden }
func (Grant) LogValue() slog.Value { return slog.StringValue(hidden) }

func (File) String() string       { return hidden }
func (File) GoString() string     { return hidden }
func (File) LogValue() slog.Value { return slog.StringValue(hidden) }

// LogValue keeps it out of slog's handlers.
func (Opening) LogValue() slog.Value { return slog.StringValue(hidden) }
