package format

import (
	"encoding/base32"
	"fmt"
	"strings"

	"ivdmover/shared/ivd"
)

// A recovery sheet's secret is typed by a person: recoveryLines lines, each of
// recoveryGroups groups of four letters. A line holds eight bytes of the secret and a
// checksum of two, so that a mistake is found in its line. The letters are Crockford's,
// of which none looks like another.
const (
	recoveryLines  = 4
	recoveryGroups = 4
	recoveryBytes  = 8 // of the secret in a line
	recoveryLine   = recoveryGroups * 4
)

var recoveryAlphabet = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// RecoveryLines is a recovery sheet's secret as it is printed.
func RecoveryLines(secret ivd.Key) []string {
	lines := make([]string, recoveryLines)
	for i := range lines {
		text := recoveryAlphabet.EncodeToString(recoveryCode(i, secret[i*recoveryBytes:]))
		groups := make([]string, recoveryGroups)
		for g := range groups {
			groups[g] = text[g*4 : g*4+4]
		}
		lines[i] = strings.Join(groups, "-")
	}
	return lines
}

// recoveryCode is a line's bytes: those of the secret and their checksum.
func recoveryCode(line int, secret []byte) []byte {
	code := append(make([]byte, 0, recoveryBytes+2), secret[:recoveryBytes]...)
	return append(code, recoveryChecksum(line, code)...)
}

// recoveryChecksum is CRC-16/CCITT-FALSE of the line's number, from 1, and its bytes. It
// finds every wrong letter, every two that are swapped, and every line that stands in
// another's place.
func recoveryChecksum(line int, secret []byte) []byte {
	crc := uint16(0xffff)
	for _, b := range append([]byte{byte(line + 1)}, secret...) {
		crc ^= uint16(b) << 8
		for range 8 {
			carry := crc&0x8000 != 0
			crc <<= 1
			if carry {
				crc ^= 0x1021
			}
		}
	}
	return []byte{byte(crc >> 8), byte(crc)}
}

// ParseRecovery reads the secret of a recovery sheet as a person has typed it: upper or
// lower case, with or without spaces, dashes and line breaks. Kind Invalid: it is none;
// the error names the lines that are wrong. Like reports whether it has the length and
// the letters of one.
func ParseRecovery(text string) (secret ivd.Key, like bool, err error) {
	letters := strings.Map(recoveryLetter, text)
	if len(letters) != recoveryLines*recoveryLine {
		return ivd.Key{}, false, ivd.Errorf(ivd.Invalid, "%d letters, want %d lines of %d", len(letters), recoveryLines, recoveryLine)
	}
	var wrong []string
	for i := range recoveryLines {
		code, err := recoveryAlphabet.DecodeString(letters[i*recoveryLine : (i+1)*recoveryLine])
		if err != nil {
			return ivd.Key{}, false, ivd.Errorf(ivd.Invalid, "line %d has a sign that is in no recovery sheet", i+1)
		}
		if string(recoveryChecksum(i, code[:recoveryBytes])) != string(code[recoveryBytes:]) {
			wrong = append(wrong, fmt.Sprint(i+1))
		}
		copy(secret[i*recoveryBytes:], code[:recoveryBytes])
	}
	if len(wrong) > 0 {
		return ivd.Key{}, true, ivd.Errorf(ivd.Invalid, "mistyped in line %s", strings.Join(wrong, ", "))
	}
	return secret, true, nil
}

// recoveryLetter is what a sign stands for; negative: nothing.
func recoveryLetter(r rune) rune {
	switch {
	case strings.ContainsRune(" \t\r\n-", r):
		return -1
	case r >= 'a' && r <= 'z':
		r -= 'a' - 'A'
	}
	switch r {
	case 'O':
		return '0'
	case 'I', 'L':
		return '1'
	}
	return r
}
