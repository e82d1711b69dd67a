package text

import (
	"math"
	"strings"
	"testing"
)

func TestPercent(t *testing.T) {
	for _, c := range [][3]int64{{0, 0, 100}, {1, 2, 50}, {3, 2, 100}, {-1, 2, 0}, {math.MaxInt64, math.MaxInt64, 100}} {
		if got := Percent(c[0], c[1]); got != int(c[2]) {
			t.Errorf("Percent(%d, %d) = %d", c[0], c[1], got)
		}
	}
}

func TestTable(t *testing.T) {
	table := Table{Columns: []Column{Left("NAME"), Left("NOTE"), Right("SIZE")}}
	var b strings.Builder
	if err := table.Write(&b); err != nil || b.String() != "NAME  NOTE  SIZE\n" {
		t.Errorf("without rows: %q, %v", b.String(), err)
	}
	table.Row("ä", "", "12 B")
	table.Row("longer", "", "1.5 KiB")
	b.Reset()
	if err := table.Write(&b); err != nil {
		t.Fatal(err)
	}
	want := "NAME       SIZE\nä          12 B\nlonger  1.5 KiB\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}
