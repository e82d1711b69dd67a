package vddk

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// majors are the major versions of the file names to look for, the newest first.
var majors = []int{9, 8, 7, 6}

const distribution = "unpack VMware's VDDK and set vddk.libdir to its folder, the one that contains lib64"

// Environment returns the variables that the process which loads the library must be
// started with: the library's companions are found only by LD_LIBRARY_PATH, and
// setting it in a running process is too late. Load unsets it again, so that no
// child process inherits it.
func Environment(libdir string) []string {
	path := filepath.Join(libdir, "lib64")
	if old := os.Getenv(libraryPath); old != "" {
		path += string(os.PathListSeparator) + old
	}
	return []string{libraryPath + "=" + path}
}

const libraryPath = "LD_LIBRARY_PATH"

// checkEnvironment refuses a process that was not started with Environment. The
// library itself would be found, but not its companions: it would fail with a
// meaningless error, or silently lack transports.
func checkEnvironment(libdir, path string) error {
	folder := filepath.Dir(path)
	if filepath.Base(folder) != "lib64" || slices.Contains(filepath.SplitList(os.Getenv(libraryPath)), folder) {
		return nil
	}
	return &LoadError{
		LibDir: libdir, Err: fmt.Errorf("the process was not started with %s in %s", folder, libraryPath),
		Remedy: "start the process with " + Environment(libdir)[0] + ", as ivd-mover does for its child; with file capabilities the loader drops the variable: use ambient ones",
	}
}

// checkConfig refuses a configuration file that cannot be read: the library would
// ignore it and use its own limits and timeouts.
func checkConfig(o Options) error {
	if o.ConfigFile == "" {
		return nil
	}
	f, err := os.Open(o.ConfigFile)
	if err != nil {
		return &LoadError{LibDir: o.LibDir, Err: fmt.Errorf("the configuration file: %w", err), Remedy: "check its path and the rights on it"}
	}
	return f.Close()
}

// version of a library as its real file is named: libvixDiskLib.so.8.0.3.
type version struct {
	text         string
	major, minor int
}

// find looks for the library below libdir. Each usual mistake about libdir has an
// error of its own.
func find(libdir string) (string, version, error) {
	if libdir == "" {
		return "", version{}, &LoadError{LibDir: libdir, Err: errors.New("no folder is given"), Remedy: distribution}
	}
	fail := func(remedy, format string, args ...any) (string, version, error) {
		return "", version{}, &LoadError{LibDir: libdir, Err: fmt.Errorf(format, args...), Remedy: remedy}
	}
	if !filepath.IsAbs(libdir) {
		return fail("give an absolute path", "the path is relative")
	}
	st, err := os.Stat(libdir)
	if errors.Is(err, fs.ErrNotExist) {
		return fail(distribution, "there is no such folder")
	}
	if err != nil {
		return fail("check the rights on the path", "%w", err)
	}
	if !st.IsDir() {
		return fail(distribution, "it is a file, not a folder")
	}
	if filepath.Base(libdir) == "lib64" {
		return fail("set vddk.libdir to "+filepath.Dir(libdir), "it is the lib64 inside the distribution, not the distribution")
	}
	for _, folder := range []string{filepath.Join(libdir, "lib64"), libdir} {
		for _, major := range majors {
			path := filepath.Join(folder, "libvixDiskLib.so."+strconv.Itoa(major))
			real, err := filepath.EvalSymlinks(path)
			if err != nil {
				continue
			}
			if err := checkELF(libdir, path); err != nil {
				return "", version{}, err
			}
			return path, versionOf(filepath.Base(real), major), nil
		}
	}
	return fail(distribution, "it has no libvixDiskLib.so.%d to .%d, in lib64 or beside it", majors[len(majors)-1], majors[0])
}

func checkELF(libdir, path string) error {
	f, err := elf.Open(path)
	if err != nil {
		return &LoadError{LibDir: libdir, Err: fmt.Errorf("%s is no shared library: %w", path, err), Remedy: "unpack the distribution again; " + distribution}
	}
	defer f.Close()
	if f.Class != elf.ELFCLASS64 || f.Machine != elf.EM_X86_64 {
		return &LoadError{
			LibDir: libdir, Err: fmt.Errorf("%s is for %s, %s", path, f.Machine, f.Class),
			Remedy: "take the distribution for Linux on x86-64",
		}
	}
	return nil
}

func versionOf(name string, major int) version {
	text := strings.TrimPrefix(name, "libvixDiskLib.so.")
	v := version{text: text, major: major}
	parts := strings.SplitN(text, ".", 3)
	if n, err := strconv.Atoi(parts[0]); err == nil {
		v.major = n
		if len(parts) > 1 {
			v.minor, _ = strconv.Atoi(parts[1])
		}
		return v
	}
	v.text = strconv.Itoa(major)
	return v
}

// explain adds a remedy to dlopen's error.
func explain(libdir, text string) error {
	remedy := distribution
	switch {
	case strings.Contains(text, "undefined symbol: VixDiskLib_"):
		remedy = "take a library that has this function, as VMware's have since 6.7"
	case strings.Contains(text, "undefined symbol"), strings.Contains(text, "version `"):
		remedy = "leave only the library's own folder in " + libraryPath
	case strings.Contains(text, "cannot open shared object file"):
		remedy = "unpack the distribution again: a file of lib64 is missing"
	}
	return &LoadError{LibDir: libdir, Err: errors.New(text), Remedy: remedy}
}
