package ivd

import "log/slog"

// Secret is text that must not reach a log, an error or a stored message: it
// prints as [secret] everywhere. Reveal is the only way to it.
type Secret string

const redacted = "[secret]"

// Reveal is the secret itself, for the call that needs it.
func (s Secret) Reveal() string { return string(s) }

func (s Secret) String() string { return redacted }

// GoString keeps it out of %#v.
func (s Secret) GoString() string { return redacted }

// LogValue keeps it out of slog's handlers.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText keeps it out of JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
