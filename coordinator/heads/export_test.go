package heads

// Line is the file whose JSON is text.
func Line(text []byte) []byte { return line(text) }
