package vddk

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// The table has every code of vix-errors.tsv under its name, and no other.
func TestCodesAreComplete(t *testing.T) {
	text, err := os.ReadFile("vix-errors.tsv")
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Fields(string(text))
	if len(rows)/2 != len(codes) || len(codes) != 194 {
		t.Errorf("%d codes in the file, %d in the table", len(rows)/2, len(codes))
	}
	for i := 0; i+1 < len(rows); i += 2 {
		code, err := strconv.ParseUint(rows[i], 10, 16)
		if err != nil {
			t.Fatal(err)
		}
		if codes[code].name != rows[i+1] {
			t.Errorf("code %d is %q in the table, %q in the file", code, codes[code].name, rows[i+1])
		}
	}
}

// Every code of the retry table stands in its row; what is in no row is generic,
// but for those that say plainly what they are.
func TestClasses(t *testing.T) {
	seen := map[uint64]bool{}
	for class, group := range map[Class][]uint64{
		None: {0, 25000},
		Transient: {
			5, 26, 31, 34, 36, 3008, 14006, 14007, 14008, 14009, 14010, 14011, 14014, 14015,
			16054, 18000, 30006, 30007, 30028,
		},
		TransientAfterEndAccess: {20005},
		Locked:                  {13, 15, 13010, 13014},
		Denied:                  {35, 3014, 3015, 16064, 18002, 30035, 30201, 11, 32, 13006, 24012},
		LoginExpired:            {3046, 3047},
		Fallback:                {6, 20, 1001, 16013, 16053, 16065, 16066},
		Gone:                    {4, 25, 4000, 13003, 16000, 16003, 16008, 16030, 16063},
		Misuse:                  {3, 24, 44, 1000, 16001, 16007, 26000},
		Encrypted: {
			30, 16014, 16015, 16016, 16017, 16052, 17000, 17001, 17002, 17003, 17004, 17005, 17006,
			17007, 17008, 17009, 17010, 17011, 17012,
		},
		Full:    {8, 13020},
		Generic: {1, 60000},
	} {
		for _, code := range group {
			seen[code] = true
			// Only the low 16 bits are the code.
			if e := newError("test", code|0xfeed0000, "", ""); e.Class != class || e.Code != code {
				t.Errorf("code %d: %s, want %s", e.Code, e.Class, class)
			}
		}
	}
	for code, c := range codes {
		if !seen[code] && c.class != Generic {
			t.Errorf("code %d, %s, is %s, and in no row", code, c.name, c.class)
		}
	}
}
