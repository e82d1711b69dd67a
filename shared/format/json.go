package format

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// maxDepth bounds how deep objects and arrays lie in each other; maxNumber is
// where integers end that every reader of JSON understands alike.
const (
	maxDepth  = 16
	maxNumber = 1<<53 - 1
)

// DecodeJSON reads a body into v, and refuses as corrupt what two readers might
// read differently: keys that are there twice or differ in case only, text that is
// no UTF-8, lone surrogates, numbers that are no integers below 2^53, depth above
// 16, times that do not end in Z, anything behind the value. Keys that v does not
// have are ignored; case counts.
func DecodeJSON(body []byte, v any) error {
	plain, err := strict(body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(plain, v); err != nil {
		return corrupt("%w", err)
	}
	return checkTimes(reflect.ValueOf(v))
}

// strict checks a body, and hides the keys from package json that it would take
// for another key: it does not look at case.
func strict(body []byte) ([]byte, error) {
	if !utf8.Valid(body) {
		return nil, corrupt("text that is no UTF-8")
	}
	if !json.Valid(body) { // what follows relies on it
		return nil, corrupt("it is no JSON, or more than one value")
	}
	if err := checkSurrogates(body); err != nil {
		return nil, err
	}
	w := walker{body: body, dec: json.NewDecoder(bytes.NewReader(body))}
	w.dec.UseNumber()
	for {
		token, err := w.dec.Token()
		if err == io.EOF {
			return w.body, nil
		}
		if err != nil {
			return nil, corrupt("%w", err)
		}
		if err := w.take(token); err != nil {
			return nil, err
		}
		w.end = w.dec.InputOffset()
	}
}

// walker goes over a body's tokens.
type walker struct {
	dec  *json.Decoder
	body []byte  // hidden keys are overwritten in a copy
	own  bool    // body is that copy
	end  int64   // of the token before
	open []level // objects and arrays that are not closed
}

type level struct {
	keys map[string]struct{} // of an object, folded; nil: none yet
	obj  bool
	key  bool // of an object: a key comes next
}

func (w *walker) take(token json.Token) error {
	if d, ok := token.(json.Delim); ok && (d == '}' || d == ']') {
		w.open = w.open[:len(w.open)-1]
		return nil
	}
	if top := w.top(); top != nil && top.obj {
		top.key = !top.key
		if !top.key { // it was one
			return w.takeKey(top, token.(string))
		}
	}
	switch t := token.(type) {
	case json.Delim:
		if len(w.open) == maxDepth {
			return corrupt("deeper than %d", maxDepth)
		}
		w.open = append(w.open, level{obj: t == '{', key: t == '{'})
	case json.Number:
		return checkNumber(string(t))
	}
	return nil
}

func (w *walker) top() *level {
	if len(w.open) == 0 {
		return nil
	}
	return &w.open[len(w.open)-1]
}

func (w *walker) takeKey(l *level, key string) error {
	folded := strings.ToLower(strings.ToUpper(key)) // as package json folds, and more
	if _, twice := l.keys[folded]; twice {
		return corrupt("key %q is there twice, or differs in case only", key)
	}
	if l.keys == nil {
		l.keys = map[string]struct{}{}
	}
	l.keys[folded] = struct{}{}
	if folded != key || strings.ContainsFunc(key, func(r rune) bool { return r >= utf8.RuneSelf }) {
		w.hide()
	}
	return nil
}

// hide overwrites the present key, which is none of ours: those are of small ASCII
// letters, digits and '_'.
func (w *walker) hide() {
	if !w.own {
		w.body, w.own = bytes.Clone(w.body), true
	}
	raw := w.body[w.end:w.dec.InputOffset()]
	raw = raw[bytes.IndexByte(raw, '"')+1 : len(raw)-1]
	for i := range raw {
		raw[i] = '-'
	}
}

// checkNumber wants an integer whose size every reader can hold exactly.
func checkNumber(text string) error {
	if strings.ContainsAny(text, ".eE") {
		return corrupt("number %s is no integer", text)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > maxNumber || n < -maxNumber || text == "-0" {
		return corrupt("number %s: want an integer below 2^53", text)
	}
	return nil
}

// checkSurrogates wants each \u escape of one half of a character to be followed by
// that of the other half. In valid JSON, backslashes are in strings only.
func checkSurrogates(body []byte) error {
	for i := 0; i < len(body); i++ {
		if body[i] != '\\' {
			continue
		}
		i++
		if body[i] != 'u' {
			continue
		}
		u := escape(body[i+1:])
		i += 4
		if u < 0xd800 || u > 0xdfff {
			continue
		}
		if next := body[i+1:]; u > 0xdbff || len(next) < 6 || next[0] != '\\' || next[1] != 'u' || escape(next[2:])&^0x3ff != 0xdc00 {
			return corrupt(`a lone surrogate \u%04x`, u)
		}
		i += 6
	}
	return nil
}

func escape(hex []byte) uint64 {
	u, _ := strconv.ParseUint(string(hex[:4]), 16, 16) // it is valid
	return u
}

var timeType = reflect.TypeFor[time.Time]()

// checkTimes wants every time to have been written in UTC, by a Z: only then its
// location is UTC itself.
func checkTimes(v reflect.Value) error {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return checkTimes(v.Elem())
		}
	case reflect.Struct:
		if v.Type() == timeType {
			if t := v.Interface().(time.Time); t.Location() != time.UTC {
				return corrupt("time %s does not end in Z", t.Format(time.RFC3339Nano))
			}
			return nil
		}
		for i := range v.NumField() {
			if !v.Type().Field(i).IsExported() {
				continue
			}
			if err := checkTimes(v.Field(i)); err != nil {
				return fmt.Errorf("%s: %w", v.Type().Field(i).Name, err)
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.Struct {
			return nil
		}
		for i := range v.Len() {
			if err := checkTimes(v.Index(i)); err != nil {
				return err
			}
		}
	}
	return nil
}
