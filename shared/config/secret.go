package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"ivdmover/shared/ivd"
)

// maxSecret bounds a file with a secret, in bytes.
const maxSecret = 64 << 10

// ReadSecret reads a file that contains one secret; a line break at its end and
// a byte order mark at its beginning are not part of it. It refuses a file that cannot be read, is empty or has several lines,
// and logs a warning about one that every user of this machine can read.
func ReadSecret(path string, log *slog.Logger) (ivd.Secret, error) {
	data, err := ReadSecretFile(path, log)
	if err != nil {
		return "", err
	}
	data = bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r"))
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // a mark of the text's encoding, which editors of other systems write
	switch {
	case len(data) == 0:
		err = errors.New("the file is empty")
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		err = errors.New("the file is in UTF-16: write it in UTF-8")
	case bytes.ContainsAny(data, "\r\n\x00"):
		err = errors.New("more than one line")
	}
	if err != nil {
		return "", &ivd.Error{Kind: ivd.Invalid, Op: readSecret + path, Err: err, Remedy: oneSecret}
	}
	return ivd.Secret(data), nil
}

const (
	readSecret = "read secret from "
	oneSecret  = "write the secret and nothing else to that file, on one line"
)

// ReadSecretFile reads a file that is secret as a whole, whatever it has in it. It refuses
// a file that cannot be read or is large, and warns as ReadSecret does.
func ReadSecretFile(path string, log *slog.Logger) ([]byte, error) {
	op := readSecret + path
	f, err := os.Open(path)
	if err != nil {
		kind := ivd.Invalid
		if errors.Is(err, os.ErrPermission) {
			kind = ivd.Denied
		}
		return nil, &ivd.Error{Kind: kind, Op: op, Err: err, Remedy: "write the secret to that file, readable by this user alone"}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, &ivd.Error{Kind: ivd.Invalid, Op: op, Err: err}
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return nil, &ivd.Error{Kind: ivd.Invalid, Op: op, Err: err}
	}
	if len(data) > maxSecret {
		return nil, &ivd.Error{Kind: ivd.Invalid, Op: op, Err: fmt.Errorf("larger than %d bytes", maxSecret), Remedy: oneSecret}
	}
	if mode := info.Mode().Perm(); mode&0o004 != 0 {
		log.Warn("secret readable by every user of this machine: run chmod 600 on the file", "file", path, "mode", mode.String())
	}
	return data, nil
}
