package ivd

import (
	"crypto/rand"
	"crypto/subtle"
	"log/slog"
)

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

// Key is 32 secret bytes. Like a Secret it prints as [secret] everywhere.
type Key [32]byte

// NewKey makes a random one.
func NewKey() (k Key) {
	_, _ = rand.Read(k[:]) // it never fails
	return k
}

// Reveal is the key's bytes, a copy of them.
func (k Key) Reveal() []byte { return k[:] }

// Equal compares in a time that says nothing of the keys.
func (k Key) Equal(o Key) bool { return subtle.ConstantTimeCompare(k[:], o[:]) == 1 }

func (k Key) String() string { return redacted }

// GoString keeps it out of %#v.
func (k Key) GoString() string { return redacted }

// LogValue keeps it out of slog's handlers.
func (k Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText keeps it out of JSON and YAML.
func (k Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }
