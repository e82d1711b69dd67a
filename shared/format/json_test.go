package format_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
)

// body is something of every kind that records have.
type body struct {
	ID    string    `json:"id"`
	Size  int64     `json:"size"`
	Time  time.Time `json:"time,omitzero"`
	Deep  *body     `json:"deep,omitempty"`
	List  []body    `json:"list,omitempty"`
	Words []string  `json:"words,omitempty"`
	_     time.Time // no record's field, but a type's own
}

func TestJSONRefused(t *testing.T) {
	for name, text := range map[string]string{
		"a key twice":              `{"id":"a","id":"a"}`,
		"an unknown key twice":     `{"x":1,"x":1}`,
		"keys by case":             `{"id":"a","ID":"b"}`,
		"unknown keys by case":     `{"xy":1,"deep":{"X":1,"x":2}}`,
		"keys by folding":          "{\"words\":[],\"word\u017f\":[]}",
		"keys by an escape":        `{"id":"a","\u0069d":"b"}`,
		"no UTF-8":                 "{\"id\":\"\xff\"}",
		"a lone high surrogate":    `{"id":"\ud83d"}`,
		"a lone low surrogate":     `{"id":"\ude00"}`,
		"the first surrogate":      `{"id":"\ud800"}`,
		"the last surrogate":       `{"id":"\udfff"}`,
		"two high surrogates":      `{"id":"\ud83d\ud83d"}`,
		"a surrogate and a letter": `{"id":"\ud83d\u0041"}`,
		"a surrogate in a key":     `{"\ud83d":1}`,
		"a fraction":               `{"size":1.0}`,
		"an exponent":              `{"size":1e3}`,
		"a large exponent":         `{"x":1E400}`,
		"minus zero":               `{"size":-0}`,
		"2^53":                     `{"size":9007199254740992}`,
		"-2^53":                    `{"x":-9007199254740992}`,
		"beyond 64 bits":           `{"x":99999999999999999999}`,
		"an offset":                `{"time":"2026-11-24T23:00:00+00:00"}`,
		"an offset far down":       `{"list":[{},{"deep":{"time":"2026-11-24T23:00:00+01:00"}}]}`,
		"no time":                  `{"time":"yesterday"}`,
		"too deep":                 strings.Repeat(`{"deep":`, 17) + "1" + strings.Repeat("}", 17),
		"arrays too deep":          strings.Repeat("[", 17) + strings.Repeat("]", 17),
		"bytes behind it":          `{} x`,
		"a second value":           `{}{}`,
		"a comma too many":         `{"id":"a",}`,
		"another type":             `{"id":1}`,
		"half a body":              `{"id":"a"`,
		"nothing":                  ``,
	} {
		var got body
		err := format.DecodeJSON([]byte(text), &got)
		if err == nil {
			t.Errorf("%s is accepted: %+v", name, got)
			continue
		}
		wantRefused(t, err, ivd.Corrupt, "")
	}
}

func TestJSONAccepted(t *testing.T) {
	at := time.Date(2026, 11, 24, 23, 0, 0, 5, time.UTC)
	for text, want := range map[string]body{
		`{"id":"\ud83d\ude00 \\ud83d","size":9007199254740991}`:        {ID: "😀 \\ud83d", Size: 1<<53 - 1},
		`{"words":["\ud800\udc00","\udbff\udfff","\ud7ff\ue000"]}`:     {Words: []string{"\U00010000", "\U0010ffff", "\ud7ff\ue000"}},
		` {"time":"2026-11-24T23:00:00.000000005Z","size":-1} ` + "\n": {Time: at, Size: -1},
		`{"ID":"a"}`:                                                    {},
		`{"\u0049D":"a", "size" : 0}`:                                   {},
		"{\"\u017fize\":7,\"words\":[\"\\u2028\"]}":                     {Words: []string{"\u2028"}},
		`{"x":{"size":"y"},"size":3}`:                                   {Size: 3},
		strings.Repeat(`{"deep":`, 15) + "{}" + strings.Repeat("}", 15): nested(15),
	} {
		var got body
		if err := format.DecodeJSON([]byte(text), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %+v: %v", text, got, err)
		}
	}
}

func nested(n int) (b body) {
	if n > 0 {
		deeper := nested(n - 1)
		b.Deep = &deeper
	}
	return b
}

// Whatever package json writes of a body is read back the same, and differs in
// nothing from what package json reads.
func TestJSONLikePackageJSON(t *testing.T) {
	var draw func(t *rapid.T, depth int) body
	draw = func(t *rapid.T, depth int) body {
		b := body{
			ID: rapid.String().Draw(t, "id"), Size: rapid.Int64Range(-1<<53+1, 1<<53-1).Draw(t, "size"),
			Words: rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "words"),
		}
		if rapid.Bool().Draw(t, "time") {
			b.Time = time.Unix(rapid.Int64Range(0, 1<<36).Draw(t, "seconds"), 0).UTC()
		}
		if depth > 0 && rapid.Bool().Draw(t, "deep") {
			deep := draw(t, depth-1)
			b.Deep, b.List = &deep, []body{draw(t, 0)}
		}
		return b
	}
	rapid.Check(t, func(t *rapid.T) {
		text, err := json.Marshal(draw(t, 5))
		if err != nil {
			t.Fatal(err)
		}
		if rapid.Bool().Draw(t, "indented") {
			var b bytes.Buffer
			if err := json.Indent(&b, text, "", "\t"); err != nil {
				t.Fatal(err)
			}
			text = b.Bytes()
		}
		var got, want body
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		if err := format.DecodeJSON(text, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s is %+v, want %+v: %v", text, got, want, err)
		}
	})
}

// FuzzJSON: what is accepted, package json accepts as well, and reads the same
// where all keys are in small letters; what is refused is refused as corrupt.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"id":"a","size":1,"time":"2026-11-24T23:00:00Z"}`, `{"ID":"\ud83d\ude00"}`, `[[{"x":-0}]]`, `{"deep":{"deep":{}}}`, "{\"\u017fize\":1}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var got, want body
		err := format.DecodeJSON(text, &got)
		if err != nil {
			wantRefused(t, err, ivd.Corrupt, "")
			return
		}
		if err := json.Unmarshal(text, &want); err != nil && bytes.Equal(bytes.ToLower(text), text) && !bytes.Contains(text, []byte{'\\'}) {
			t.Fatalf("package json refuses %q: %v", text, err)
		}
		if bytes.Equal(bytes.ToLower(bytes.ToUpper(text)), text) && !bytes.Contains(text, []byte{'\\'}) && !reflect.DeepEqual(got, want) {
			t.Fatalf("%q is %+v, package json says %+v", text, got, want)
		}
	})
}
