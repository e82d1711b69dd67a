package progress

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/mattn/go-runewidth"
	"github.com/vbauerster/cupwriter"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

const (
	nameWidth = 18 // columns of a disk's name
	barWidth  = 30 // of a bar, at most
	minHeight = 3  // rows of a terminal: fewer have no space for bars
)

// line is a line of the terminal: a disk's name, how much of it is covered and a
// text, or the text alone.
type line struct {
	name    string // empty: the text alone
	percent int
	text    string
}

// bars are the lines that stand on a terminal while a run is under way. mpb draws
// them again and again. A line belongs to a place on the screen, not to a disk: mpb
// draws a dropped place once more, so a new place for each disk that starts while
// another one ends would draw more lines than the terminal has rows.
type bars struct {
	out   *os.File
	area  *mpb.Progress // nil: nothing is shown
	slots []*slot
}

// fromStart writes from the beginning of the line on, wherever the echo of a key
// that somebody pressed, Ctrl-C for example, has left the cursor.
type fromStart struct{ *os.File }

func (f fromStart) Write(b []byte) (int, error) {
	n, err := f.File.Write(append([]byte{'\r'}, b...))
	return max(n-1, 0), err
}

// slot is a place for a line. mpb reads the line when it draws.
type slot struct {
	bar  *mpb.Bar // nil: the terminal is gone
	line atomic.Pointer[line]
}

// newBars returns nil unless out is a terminal with space for bars.
func newBars(out io.Writer) *bars {
	f, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	if width, height, err := term.GetSize(int(f.Fd())); err != nil || width < 1 || height < minHeight {
		return nil
	}
	return &bars{out: f}
}

// show replaces the lines, of which the last one is about all disks. Above them go
// lines that stay.
func (b *bars) show(stay []string, disks []line, sum string) {
	if b.area == nil {
		w := cupwriter.New(fromStart{b.out}, false)
		w.SetTermFd(int(b.out.Fd()))
		b.area = mpb.New(mpb.WithConsoleWriter(w))
	}
	for _, s := range stay {
		fmt.Fprintln(b.area, s)
	}
	lines := append(b.fit(disks), line{text: sum})
	for i := range lines {
		if i < len(b.slots) {
			b.slots[i].line.Store(&lines[i])
		} else {
			b.slots = append(b.slots, b.add(i, &lines[i]))
		}
	}
	b.cut(len(lines))
}

// fit is what the terminal has space for of the disks' lines, with the last row and
// the one above the lines left free.
func (b *bars) fit(disks []line) []line {
	_, height, err := term.GetSize(int(b.out.Fd()))
	room := max(1, height-3)
	if err != nil || len(disks) <= room {
		return disks
	}
	hidden := line{text: fmt.Sprintf("… and %d more disks at work", len(disks)-room+1)}
	return append(disks[:room-1:room-1], hidden)
}

// cut drops all slots but the first n. mpb draws a dropped one once more: empty.
func (b *bars) cut(n int) {
	for _, s := range b.slots[n:] {
		s.line.Store(&line{})
		if s.bar != nil {
			s.bar.Abort(true)
		}
	}
	b.slots = b.slots[:n]
}

// clear takes everything away but the lines that stay.
func (b *bars) clear() {
	if b.area == nil {
		return
	}
	b.cut(0)
	b.area.Wait()
	b.area = nil
}

// add makes a slot below those that there are. Its bar has no total, so that mpb
// never takes it for complete: it goes when it is cut.
func (b *bars) add(i int, l *line) *slot {
	s := &slot{}
	s.line.Store(l)
	bar := mpb.BarStyle().Tip("=").Padding(" ").Build()
	fill := mpb.BarFillerFunc(func(w io.Writer, st decor.Statistics) error {
		l := s.line.Load()
		if l.name == "" {
			return nil
		}
		return bar.Fill(w, decor.Statistics{AvailableWidth: st.AvailableWidth, RequestedWidth: barWidth, Total: 100, Current: int64(l.percent)})
	})
	name := decor.Any(func(decor.Statistics) string {
		if l := s.line.Load(); l.name != "" {
			return runewidth.FillRight(runewidth.Truncate(l.name, nameWidth, "…"), nameWidth+1)
		}
		return ""
	})
	words := decor.Any(func(decor.Statistics) string { return s.line.Load().text })
	// It fails only when mpb has found the terminal gone.
	s.bar, _ = b.area.Add(0, fill, mpb.BarPriority(i), mpb.BarFillerTrim(), mpb.PrependDecorators(name), mpb.AppendDecorators(words))
	return s
}
