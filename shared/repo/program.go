package repo

import (
	"path"
	"runtime/debug"
	"sync"
)

// program is this program and its version, as every record names who wrote it.
var program = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	name, version := path.Base(info.Path), info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (version == "" || version == "(devel)") {
			version = s.Value
		}
	}
	return name + " " + version
})
