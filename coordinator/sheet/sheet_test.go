package sheet_test

import (
	"image"
	"image/color"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"ivdmover/coordinator/sheet"
	"ivdmover/shared/ivd"
	"ivdmover/shared/keys"
)

func example() sheet.Sheet {
	return sheet.Sheet{
		Recovery: keys.Recovery{Secret: ivd.NewKey(), Repository: "6b1f2d0e-7a53-4c1d-9e0f-2b8c5d4a3f21", Root: ivd.KeyID{0xab, 1}},
		URL:      "s3://backups/estate-1", Endpoint: "https://s3.example.net", Domain: ivd.DomainID{0xd0},
		Slot: 3, Name: "sheet <1>", Created: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC),
		Heads: []sheet.Fact{{Name: "head of coordinator-2", Value: "17"}},
	}
}

// scan reads a QR code of which each module is a character or a square.
func scan(t *testing.T, width, height int, dark func(x, y int) bool) string {
	t.Helper()
	const scale = 4
	img := image.NewGray(image.Rect(0, 0, width*scale, height*scale))
	for y := range height * scale {
		for x := range width * scale {
			if !dark(x/scale, y/scale) {
				img.SetGray(x, y, color.Gray{Y: 255})
			}
		}
	}
	b, err := gozxing.NewBinaryBitmapFromImage(img)
	if err != nil {
		t.Fatal(err)
	}
	read, err := qrcode.NewQRCodeReader().Decode(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	return read.GetText()
}

// The code that is printed in half blocks is read by another program's reader, and its
// lines are what a person types; both open what the secret opens.
func TestText(t *testing.T) {
	s := example()
	for what, terminal := range map[string]bool{"printer": false, "terminal": true} {
		text, err := s.Text(terminal)
		if err != nil {
			t.Fatal(err)
		}
		if terminal != strings.Contains(text, "\x1b[") {
			t.Errorf("%s: colours in %q", what, text[:200])
		}
		plain := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(text, "")
		var rows [][]rune
		for line := range strings.Lines(plain) {
			line = strings.TrimRight(line, "\n")
			if n := len([]rune(line)); n > 80 {
				t.Errorf("%s: a line of %d signs: %s", what, n, line)
			}
			if strings.ContainsAny(line, "▀▄█") {
				rows = append(rows, []rune(line))
			}
		}
		width := 0
		for _, r := range rows {
			width = max(width, len(r))
		}
		got := scan(t, width+8, 2*len(rows)+8, func(x, y int) bool {
			x, y = x-4, y-4
			if y < 0 || y/2 >= len(rows) || x < 0 || x >= len(rows[y/2]) {
				return false
			}
			return strings.ContainsRune([]string{"▀█", "▄█"}[y%2], rows[y/2][x])
		})
		same(t, what+"'s code", got, s)
		typed := ""
		for _, m := range regexp.MustCompile(`line \d   (\S+)`).FindAllStringSubmatch(plain, -1) {
			typed += m[1] + " "
		}
		same(t, what+"'s lines", typed, s)
		says(t, what, plain, s)
	}
}

// So it is with the page.
func TestHTML(t *testing.T) {
	s := example()
	b, err := s.HTML()
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	box := regexp.MustCompile(`viewBox="-4 -4 (\d+) `).FindStringSubmatch(text)
	if box == nil {
		t.Fatal("no picture")
	}
	size, _ := strconv.Atoi(box[1])
	dark := map[[2]int]bool{}
	for _, m := range regexp.MustCompile(`M(\d+) (\d+)h1v1h-1z`).FindAllStringSubmatch(text, -1) {
		x, _ := strconv.Atoi(m[1])
		y, _ := strconv.Atoi(m[2])
		dark[[2]int{x + 4, y + 4}] = true
	}
	same(t, "code", scan(t, size, size, func(x, y int) bool { return dark[[2]int{x, y}] }), s)
	if !strings.Contains(text, "sheet &lt;1&gt;") || strings.Contains(text, "sheet <1>") || strings.Contains(text, "<script") {
		t.Error("a name is taken for markup")
	}
	says(t, "page", strings.ReplaceAll(text, "sheet &lt;1&gt;", "sheet <1>"), s)
}

// same fails unless a text is read as the sheet's secret.
func same(t *testing.T, what, text string, s sheet.Sheet) {
	t.Helper()
	o, err := keys.ReadOpening(ivd.Secret(text))
	if err != nil || !o.Same(s.Recovery.Opening()) {
		t.Errorf("%s: %v", what, err)
	}
}

// says fails unless a text says all that the sheet must.
func says(t *testing.T, what, text string, s sheet.Sheet) {
	t.Helper()
	words := []string{s.URL, s.Endpoint, s.Recovery.Repository, s.Recovery.Root.String(), s.Domain.String(), "sheet <1>", "2026-11-30T12:00:00Z", "head of coordinator-2"}
	for _, w := range append(words, s.Lines()...) {
		if !strings.Contains(text, w) {
			t.Errorf("the %s does not say %q", what, w)
		}
	}
}
