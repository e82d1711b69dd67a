package config

import (
	"net/url"
	"path"
	"strings"

	"ivdmover/shared/ivd"
)

// Location is a repository's URL in its parts: Folder of dir://; Bucket, and Prefix
// without slashes around it, of s3://.
type Location struct {
	Scheme string
	Folder string
	Bucket string
	Prefix string
}

// ParseLocation reads "s3://bucket/prefix" or "dir:///folder".
func ParseLocation(s string) (Location, error) {
	bad := func(why string) (Location, error) {
		return Location{}, ivd.Errorf(ivd.Invalid, "%q: %s; want s3://BUCKET/PREFIX or dir:///FOLDER", s, why)
	}
	u, err := url.Parse(s)
	if err != nil {
		return bad("not a URL")
	}
	if u.User != nil {
		return Location{}, ivd.Errorf(ivd.Invalid, "credentials in the URL: name files that hold them, see access_key_file")
	}
	if u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return bad("something after the path")
	}
	switch u.Scheme {
	case "dir":
		if u.Host != "" || !path.IsAbs(u.Path) {
			return bad("the folder's path is not absolute")
		}
		return Location{Scheme: "dir", Folder: path.Clean(u.Path)}, nil
	case "s3":
		if u.Host == "" || u.Host != u.Hostname() {
			return bad("no bucket")
		}
		prefix := strings.Trim(u.Path, "/")
		for segment := range strings.SplitSeq(prefix, "/") {
			if prefix != "" && (segment == "" || segment == "." || segment == "..") {
				return bad("a prefix with an empty segment, . or ..")
			}
		}
		return Location{Scheme: "s3", Bucket: u.Host, Prefix: prefix}, nil
	}
	return bad("unknown kind of store")
}
