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

func TestClasses(t *testing.T) {
	for class, group := range map[Class][]uint64{
		None:                    {0, 25000},
		Transient:               {5, 26, 14006, 14007, 14008, 14009, 14010, 14011, 14014, 14015, 16054, 18000, 30028},
		TransientAfterEndAccess: {20005},
		Locked:                  {13, 15, 13010, 13014},
		Denied:                  {35, 3014, 16064, 30035},
		LoginExpired:            {3046, 3047},
		Fallback:                {6, 16013, 16053},
		Gone:                    {4, 25, 16000, 16008},
		Misuse:                  {3, 16007, 26000},
		Encrypted:               {30, 16014, 17012},
		Full:                    {8},
		Generic:                 {1, 60000},
	} {
		for _, code := range group {
			// Only the low 16 bits are the code.
			if e := newError("test", code|0xfeed0000, "", ""); e.Class != class || e.Code != code {
				t.Errorf("code %d: %s, want %s", e.Code, e.Class, class)
			}
		}
	}
}
