package sheet

import (
	"bytes"
	"fmt"
	"html/template"
	"strings"

	"rsc.io/qr"
)

var page = template.Must(template.New("sheet").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Recovery sheet of repository {{.Sheet.Recovery.Repository}}</title>
<style>
body { font: 11pt/1.4 sans-serif; color: #000; background: #fff; max-width: 18cm; margin: 1cm auto; }
h1 { font-size: 16pt; }
th { text-align: left; padding-right: 1em; font-weight: normal; }
td, .lines { font-family: monospace; }
.lines { font-size: 15pt; line-height: 1.6; }
svg { width: 7cm; height: 7cm; display: block; margin: 0.5cm 0; }
code { font-size: 10pt; }
@page { margin: 1.5cm; }
</style>
</head>
<body>
<h1>Recovery sheet of an encrypted ivdmover repository</h1>
<p><strong>{{.Warning}}</strong></p>
<table>
{{range .Sheet.Facts}}<tr><th>{{.Name}}</th><td>{{.Value}}</td></tr>
{{end}}</table>
<svg xmlns="http://www.w3.org/2000/svg" viewBox="{{.Box}}" shape-rendering="crispEdges"><rect x="-4" y="-4" width="100%" height="100%" fill="#fff"/><path d="{{.Path}}" fill="#000"/></svg>
<ol class="lines">
{{range .Sheet.Lines}}<li>{{.}}</li>
{{end}}</ol>
<p>There is no letter I, L, O or U: what looks like one is 1, 1, 0 or V.</p>
<h2>When the passphrase is lost</h2>
<ol>
{{range .Sheet.Steps}}<li>{{.}}</li>
{{end}}</ol>
</body>
</html>
`))

// HTML is the sheet as a page that needs nothing else, to be printed.
func (s Sheet) HTML() ([]byte, error) {
	c, err := s.code()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = page.Execute(&b, struct {
		Sheet     Sheet
		Warning   string
		Box, Path string
	}{s, Warning, fmt.Sprintf("%d %d %d %d", -quiet, -quiet, c.Size+2*quiet, c.Size+2*quiet), outline(c)})
	if err != nil {
		return nil, fmt.Errorf("draw a recovery sheet: %w", err)
	}
	return b.Bytes(), nil
}

// outline is a code's dark modules as a path, a square each.
func outline(c *qr.Code) string {
	var b strings.Builder
	for y := range c.Size {
		for x := range c.Size {
			if c.Black(x, y) {
				fmt.Fprintf(&b, "M%d %dh1v1h-1z", x, y)
			}
		}
	}
	return b.String()
}
