package restore

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ivdmover/coordinator/inventory"
	"ivdmover/shared/ivd"
)

// maxName is how many characters vSphere takes for a name.
const maxName = 80

// checkName refuses a name that vSphere would not take, or that would be shown as
// something else than it is.
func checkName(name string) error {
	why := ""
	switch {
	case strings.HasPrefix(name, inventory.WorkingPrefix):
		why = "it is a name of unfinished restores"
	case !utf8.ValidString(name):
		why = "it is no text in UTF-8"
	case utf8.RuneCountInString(name) > maxName:
		why = fmt.Sprintf("it has more than %d characters", maxName)
	case strings.TrimSpace(name) != name || strings.Trim(name, ".") == "":
		why = "it begins or ends with a space, or is only dots"
	case strings.ContainsFunc(name, unfit):
		why = `it has a /, a \, a control character or one that is not seen`
	}
	if why == "" {
		return nil
	}
	return &ivd.Error{Kind: ivd.Invalid, Err: fmt.Errorf("a disk cannot be named %q: %s", name, why), Remedy: "give another --name"}
}

func unfit(r rune) bool {
	return strings.ContainsRune(`/\`, r) || r != ' ' && !unicode.IsPrint(r) && r != '\u200c' && r != '\u200d'
}

// nameAfter is the name that a restored disk gets unless another one is asked for: the
// old one, as far as it is fit, with the point's time.
func nameAfter(old string, at time.Time) string {
	suffix := at.Format("-20060102T150405Z")
	fit := []rune(strings.TrimSpace(strings.Map(func(r rune) rune {
		if unfit(r) || r == utf8.RuneError {
			return '_'
		}
		return r
	}, old)))
	return string(fit[:min(len(fit), maxName-len(suffix))]) + suffix
}
