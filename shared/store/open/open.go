// Package open opens the store that a configuration names. It is the only room
// that knows every kind of store; it keeps no state and decides nothing else.
package open

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
	"ivdmover/shared/store/dir"
	"ivdmover/shared/store/limit"
	"ivdmover/shared/store/meter"
	"ivdmover/shared/store/probe"
	"ivdmover/shared/store/s3"
)

// New opens the store for a new repository. A folder is made where its parent is
// there; a bucket is its owner's to make. Nothing else makes one: a file system
// that is not mounted must not look like an empty repository.
func New(ctx context.Context, r config.Repository) (store.Store, error) {
	where, err := config.ParseLocation(r.URL)
	if err == nil && where.Scheme == "dir" {
		if err := os.Mkdir(where.Folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, &ivd.Error{Kind: ivd.Invalid, Op: "make the repository's folder", Err: err, Remedy: "create it (mkdir -p " + where.Folder + "), or mount what should be there"}
		}
	}
	return Open(ctx, r)
}

// Open opens the store of a repository, which must be there and must answer.
func Open(ctx context.Context, r config.Repository) (store.Store, error) {
	return telling(ctx, r, slog.Default())
}

// telling is Open; the store tells log what keeps it waiting.
func telling(ctx context.Context, r config.Repository, log *slog.Logger) (store.Store, error) {
	where, err := config.ParseLocation(r.URL)
	if err != nil {
		return nil, &ivd.Error{Kind: ivd.Invalid, Op: "repository.url", Err: err}
	}
	if where.Scheme == "dir" {
		st, err := dir.Open(where.Folder)
		return dressed(st, err, r)
	}
	c, err := bucketOf(r, where, log)
	if err != nil {
		return nil, err
	}
	st, err := s3.Open(ctx, c)
	return dressed(st, err, r)
}

// Check reads what Open reads of a configuration before it asks a store, the files that
// it names with it.
func Check(r config.Repository, log *slog.Logger) error {
	where, err := config.ParseLocation(r.URL)
	if err != nil {
		return &ivd.Error{Kind: ivd.Invalid, Op: "repository.url", Err: err}
	}
	if where.Scheme == "dir" {
		return nil
	}
	c, err := bucketOf(r, where, log)
	if err != nil {
		return err
	}
	return s3.Check(c)
}

// bucketOf is the bucket that a configuration names.
func bucketOf(r config.Repository, where config.Location, log *slog.Logger) (c s3.Config, err error) {
	c = s3.Config{
		Endpoint: r.Endpoint, Bucket: where.Bucket, Prefix: where.Prefix,
		Region: r.Region, PathStyle: r.PathStyle, CAFile: r.CAFile, CredentialsFile: r.CredentialsFile,
		ContentMD5: r.Checksum == config.ChecksumMD5, Log: log,
		Locks: store.Locks{For: r.Lock.For.Std(), Compliance: r.Lock.Mode == config.LockCompliance},
	}
	if r.AccessKeyFile != "" {
		c.KeyFiles = r.AccessKeyFile + " and " + r.SecretKeyFile
		c.ReadKeys = func() (access, secret ivd.Secret, err error) {
			if access, err = config.ReadSecret(r.AccessKeyFile, log); err == nil {
				secret, err = config.ReadSecret(r.SecretKeyFile, log)
			}
			return access, secret, err
		}
		if c.AccessKey, c.SecretKey, err = c.ReadKeys(); err != nil {
			return c, err
		}
	}
	return c, nil
}

// OpenWhatIsThere opens the store of a repository that need not be writable, so that
// it can at least be read without a lease. A folder that cannot be written to is
// opened for reading only, and its Properties say so; what a bucket refuses is seen
// when it is written to. The store tells log what keeps it waiting.
func OpenWhatIsThere(ctx context.Context, r config.Repository, log *slog.Logger) (store.Store, error) {
	st, err := telling(ctx, r, log)
	if ivd.KindOf(err) != ivd.Denied {
		return st, err
	}
	where, parseErr := config.ParseLocation(r.URL)
	if parseErr != nil || where.Scheme != "dir" {
		return nil, err
	}
	folder, err := dir.OpenReadOnly(where.Folder)
	return dressed(folder, err, r)
}

// dressed is a store that was opened, with what is around each: its requests are counted
// and kept to the limits.
func dressed[S store.Store](s S, err error, r config.Repository) (store.Store, error) {
	if err != nil {
		return nil, err
	}
	counted := meter.New(s)
	table, err := tableOf(r.Limits)
	if err != nil {
		return nil, err
	}
	if table.None() {
		return counted, nil
	}
	return limit.New(counted, table), nil
}

// tableOf is the table of limits that a configuration has.
func tableOf(l config.StoreLimits) (limit.Table, error) {
	t := limit.Table{Usual: limit.Rates{Upload: l.Upload.Bytes(), Download: l.Download.Bytes(), Requests: int64(l.Requests)}, Zone: time.Local}
	if l.Timezone != "" {
		zone, err := time.LoadLocation(l.Timezone)
		if err != nil {
			return t, &ivd.Error{Kind: ivd.Invalid, Op: "repository.limits.timezone", Err: err}
		}
		t.Zone = zone
	}
	for _, h := range l.Hours {
		hours := limit.Hours{
			From: int(h.From), To: int(h.To),
			Rates: limit.Rates{Upload: h.Upload.Bytes(), Download: h.Download.Bytes(), Requests: int64(h.Requests)},
		}
		for _, day := range h.Days {
			hours.Days = append(hours.Days, time.Weekday(slices.Index(config.Weekdays, day)))
		}
		t.Hours = append(t.Hours, hours)
	}
	return t, nil
}

// Site makes stores for probes beside what a repository has: below a prefix, or in a
// folder, that is new and nobody else's.
func Site(r config.Repository, log *slog.Logger) probe.Site {
	return func(ctx context.Context) (probe.Ground, func(context.Context) (probe.Left, error), error) {
		where, err := config.ParseLocation(r.URL)
		if err != nil {
			return probe.Ground{}, nil, &ivd.Error{Kind: ivd.Invalid, Op: "repository.url", Err: err}
		}
		if where.Scheme == "dir" {
			return folderGround(where.Folder)
		}
		where.Prefix = strings.TrimPrefix(where.Prefix+"/check-store/"+uuid.NewString(), "/")
		c, err := bucketOf(r, where, log)
		if err != nil {
			return probe.Ground{}, nil, err
		}
		c.Locks = store.Locks{} // what probes leave behind is to be deleted
		st, err := s3.Open(ctx, c)
		if err != nil {
			return probe.Ground{}, nil, err
		}
		return probe.On(st), func(ctx context.Context) (probe.Left, error) {
			left, err := probe.Clean(ctx, st)
			return left, errors.Join(err, st.Close())
		}, nil
	}
}

// folderGround is in a folder whose name is none of the store that is there, which so
// sees nothing of it.
func folderGround(folder string) (probe.Ground, func(context.Context) (probe.Left, error), error) {
	folder = filepath.Join(folder, ".check-store-"+uuid.NewString())
	if err := os.Mkdir(folder, 0o700); err != nil {
		return probe.Ground{}, nil, &ivd.Error{Kind: ivd.Unmet, Op: "make a folder to try the store in", Err: err, Remedy: "create the repository's folder, or give this user the right to write to it"}
	}
	st, err := dir.Open(folder)
	if err != nil {
		return probe.Ground{}, nil, errors.Join(err, os.RemoveAll(folder))
	}
	return probe.On(st), func(context.Context) (probe.Left, error) {
		return probe.Left{}, errors.Join(st.Close(), os.RemoveAll(folder))
	}, nil
}
