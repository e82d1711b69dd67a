package schedule

import (
	"fmt"
	"iter"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"ivdmover/shared/ivd"
)

// set is a set of small numbers.
type set uint64

func (s set) has(n int) bool { return s>>n&1 == 1 }

// all yields the numbers, the least first.
func (s set) all() iter.Seq[int] {
	return func(yield func(int) bool) {
		for ; s != 0; s &= s - 1 {
			if !yield(bits.TrailingZeros64(uint64(s))) {
				return
			}
		}
	}
}

// fields are what a schedule says.
type fields struct {
	minute, hour, date, month, weekday set
	// anyDate and anyWeekday: the field begins with a star, and so does not widen the other.
	anyDate, anyWeekday bool
}

const everyHour set = 1<<24 - 1

// match reports whether something fires on a day.
func (f fields) match(d day) bool {
	date, weekday := f.date.has(d.Day()), f.weekday.has(int(d.Weekday()))
	if !f.month.has(int(d.Month())) {
		return false
	}
	if f.anyDate || f.anyWeekday {
		return date && weekday
	}
	return date || weekday
}

// field is what one of the fields may say.
type field struct {
	name        string
	least, most int
	words       []string // of least and those that follow
}

var (
	months   = []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}
	weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

	known = []field{
		{"minute", 0, 59, nil},
		{"hour", 0, 23, nil},
		{"day of the month", 1, 31, nil},
		{"month", 1, 12, months},
		{"day of the week", 0, 7, weekdays}, // 7 is Sunday, too
	}

	short = map[string]string{
		"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *",
	}
)

const remedy = `write five fields, such as "30 5 * * *" (daily at 05:30) or "0 22 * * mon-fri"`

func parse(text string) (fields, error) {
	f, err := read(text)
	if err == nil && !f.possible() {
		err = fmt.Errorf("no month has such a day: it never fires")
	}
	if err != nil {
		return f, &ivd.Error{Kind: ivd.Invalid, Op: fmt.Sprintf("schedule %q", text), Err: err, Remedy: remedy}
	}
	return f, nil
}

func read(text string) (f fields, err error) {
	if long, ok := short[text]; ok {
		text = long
	}
	words := strings.Fields(text)
	if len(words) != len(known) {
		return f, fmt.Errorf("it has %d fields", len(words))
	}
	for i, to := range []*set{&f.minute, &f.hour, &f.date, &f.month, &f.weekday} {
		if *to, err = known[i].parse(words[i]); err != nil {
			return f, fmt.Errorf("%s: %w", known[i].name, err)
		}
	}
	f.weekday |= f.weekday >> 7 & 1
	f.anyDate, f.anyWeekday = words[2][0] == '*', words[4][0] == '*'
	return f, nil
}

// possible reports whether some day of a leap year fires, on whatever weekday it falls.
func (f fields) possible() bool {
	if !f.anyDate && !f.anyWeekday {
		return true // each month has every weekday
	}
	for month := range f.month.all() {
		days := 31
		switch month {
		case 2:
			days = 29
		case 4, 6, 9, 11:
			days = 30
		}
		if bits.TrailingZeros64(uint64(f.date)) <= days {
			return true
		}
	}
	return false
}

// parse reads a list of numbers, ranges and steps.
func (f field) parse(text string) (all set, err error) {
	for part := range strings.SplitSeq(text, ",") {
		span, step, stepped := strings.Cut(part, "/")
		from, to, by := f.least, f.most, 1
		if span != "*" {
			if from, to, err = f.span(span); err != nil {
				return 0, err
			}
		}
		if stepped {
			if span != "*" && !strings.Contains(span, "-") {
				return 0, fmt.Errorf("%q: a step is of * or of a range", part)
			}
			if by, err = number(step); err != nil || by < 1 || by > f.most {
				return 0, fmt.Errorf("%q: want a step from 1 to %d", part, f.most)
			}
		}
		for n := from; n <= to; n += by {
			all |= 1 << n
		}
	}
	return all, nil
}

// span reads a number, or a range.
func (f field) span(text string) (from, to int, err error) {
	first, last, ranged := strings.Cut(text, "-")
	if from, err = f.number(first); err != nil {
		return 0, 0, err
	}
	if to = from; ranged {
		to, err = f.number(last)
	}
	if err == nil && from > to {
		err = fmt.Errorf("%q ends before it begins", text)
	}
	return from, to, err
}

func (f field) number(text string) (int, error) {
	if i := slices.Index(f.words, strings.ToLower(text)); i >= 0 {
		return f.least + i, nil
	}
	n, err := number(text)
	if err != nil || n < f.least || n > f.most {
		return 0, fmt.Errorf("%q: want %d to %d", text, f.least, f.most)
	}
	return n, nil
}

// number reads digits and nothing else.
func number(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 8)
	return int(n), err
}
