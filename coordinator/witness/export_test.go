package witness

// Line is one line of a file.
var Line = line
