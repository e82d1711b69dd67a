package disktest

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// Lacking makes a distribution in a folder whose library exports all but some
// functions, named without their prefix.
func Lacking(folder string, functions ...string) error {
	libdir, err := Build()
	if err != nil {
		return err
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	out, err := exec.Command("make", "-s", "-C", filepath.Join(root, "vddk", "lab"), "lacking",
		"OUT="+libdir, "TO="+folder, "LACKS="+strings.Join(functions, " ")).CombinedOutput()
	if err != nil {
		return fmt.Errorf("make a library without %v: %w: %s", functions, err, out)
	}
	return nil
}
