package text

import (
	"io"
	"strings"
)

// Column is a column's heading and on which side its cells stand.
type Column struct {
	Name  string
	Right bool
}

// Left and Right make columns of words and of figures.
func Left(name string) Column { return Column{Name: name} }

// Right makes a column of figures.
func Right(name string) Column { return Column{Name: name, Right: true} }

// Table is what is shown for a list. A column whose cells are all empty is left
// out when it is written.
type Table struct {
	Columns []Column
	rows    [][]string
}

// maxCell is how many columns of the terminal a cell takes at most; the other formats
// have all of it.
const maxCell = 80

// Row adds a row, a cell for each column. What others wrote is shown as Safe does.
func (t *Table) Row(cells ...string) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = Name(c)
	}
	t.rows = append(t.rows, row)
}

// gap is what stands between two columns.
const gap = "  "

// Write aligns the columns; without any row only the headings are written.
func (t *Table) Write(w io.Writer) error {
	widths := make([]int, len(t.Columns))
	used := make([]bool, len(t.Columns))
	for _, row := range t.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], Width(cell))
			used[i] = used[i] || cell != ""
		}
	}
	heading := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		heading[i] = c.Name
		widths[i] = max(widths[i], Width(c.Name))
		used[i] = used[i] || len(t.rows) == 0
	}
	var out strings.Builder
	for _, row := range append([][]string{heading}, t.rows...) {
		out.WriteString(t.line(row, widths, used))
		out.WriteByte('\n')
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func (t *Table) line(row []string, widths []int, used []bool) string {
	var b strings.Builder
	for i, cell := range row {
		if !used[i] {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(gap)
		}
		space := strings.Repeat(" ", widths[i]-Width(cell))
		if t.Columns[i].Right {
			b.WriteString(space + cell)
		} else {
			b.WriteString(cell + space)
		}
	}
	return strings.TrimRight(b.String(), " ")
}
