package open_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
	"ivdmover/shared/store/meter"
	"ivdmover/shared/store/open"
	"ivdmover/shared/store/storetest"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func use(t *testing.T, r config.Repository, want string) {
	t.Helper()
	s, err := open.Open(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if s.String() != want {
		t.Errorf("opened %s, want %s", s, want)
	}
	if err := s.Put(t.Context(), "repo.json", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), "repo.json", 10); err != nil {
		t.Fatal(err)
	}
}

func TestFolder(t *testing.T) {
	folder := t.TempDir()
	use(t, config.Repository{URL: "dir://" + folder}, "dir://"+folder)
	if _, err := os.Stat(filepath.Join(folder, "repo.json")); err != nil {
		t.Error(err)
	}
}

// A new repository makes its folder, one level and no more; whoever only opens makes
// nothing.
func TestOnlyANewRepositoryMakesItsFolder(t *testing.T) {
	parent := t.TempDir()
	r := config.Repository{URL: "dir://" + parent + "/estate"}
	if _, err := open.Open(t.Context(), r); ivd.RemedyOf(err) == "" {
		t.Errorf("open without a folder: %v, want an error with a remedy", err)
	}
	for range 2 { // it may be there already
		if _, err := open.New(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	r.URL = "dir://" + parent + "/not/there"
	if _, err := open.New(t.Context(), r); ivd.KindOf(err) != ivd.Invalid {
		t.Errorf("without a parent: %v, want it to be invalid", err)
	}
}

func TestBucket(t *testing.T) {
	service := storetest.S3(t)
	pathStyle := true
	r := config.Repository{
		URL: "s3://" + service.Bucket + "/estate-1/", Endpoint: service.Endpoint, PathStyle: &pathStyle, Region: "us-east-1",
		AccessKeyFile: write(t, service.AccessKey.Reveal()+"\n"), SecretKeyFile: write(t, service.SecretKey.Reveal()+"\n"),
	}
	use(t, r, "s3://backups/estate-1")
	if _, err := os.Stat(filepath.Join(service.Folder, service.Bucket, "estate-1", "repo.json")); err != nil {
		t.Error(err)
	}
	file := r
	file.AccessKeyFile, file.SecretKeyFile = "", ""
	file.CredentialsFile = write(t, "[default]\naws_access_key_id = "+service.AccessKey.Reveal()+
		"\naws_secret_access_key = "+service.SecretKey.Reveal()+"\n")
	use(t, file, "s3://backups/estate-1")
	file.CredentialsFile = ""
	t.Setenv("AWS_ACCESS_KEY_ID", service.AccessKey.Reveal())
	t.Setenv("AWS_SECRET_ACCESS_KEY", service.SecretKey.Reveal())
	use(t, file, "s3://backups/estate-1")
}

// A folder that cannot be written to is opened for reading only where that is enough,
// and refused where it is not; any other is opened as always.
func TestWhatIsThere(t *testing.T) {
	folder := t.TempDir()
	r := config.Repository{URL: "dir://" + folder}
	s, err := open.OpenWhatIsThere(t.Context(), r, slog.Default())
	if err != nil || s.Properties().ReadOnly {
		t.Fatalf("%+v, %v", s, err)
	}
	if err := s.Put(t.Context(), "points/a", []byte("whole")); err != nil {
		t.Fatal(err)
	}
	storetest.WriteProtect(t, folder)
	if _, err := open.Open(t.Context(), r); ivd.KindOf(err) != ivd.Denied || ivd.RemedyOf(err) == "" {
		t.Errorf("to write to it: %v", err)
	}
	s, err = open.OpenWhatIsThere(t.Context(), r, slog.Default())
	if err != nil || !s.Properties().ReadOnly {
		t.Fatalf("%+v, %v", s, err)
	}
	if o, err := s.Get(t.Context(), "points/a", 10); err != nil || string(o.Body) != "whole" {
		t.Errorf("%q, %v", o.Body, err)
	}
	for url, want := range map[string]ivd.Kind{"dir:///nowhere/at/all": ivd.Unmet, "ftp://x/y": ivd.Invalid} {
		if _, err := open.OpenWhatIsThere(t.Context(), config.Repository{URL: url}, slog.Default()); ivd.KindOf(err) != want {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// The limits that the configuration has are those of the store that is opened, by its hours.
func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // it is midnight, UTC, between Friday and Saturday
		r := config.Repository{URL: "dir://" + t.TempDir(), Limits: config.StoreLimits{
			Upload: 1 << 20, Timezone: "UTC",
			Hours: []config.LimitHours{{Days: []string{"sat"}, From: 0, To: 1, Upload: 64 << 10}},
		}}
		s, err := open.Open(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for range 3 { // 64 KiB are the burst; the first takes until 00:00:31 to pay, the second until 00:01:03
			if err := s.Put(t.Context(), "data/a", make([]byte, 2<<20)); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start).Round(time.Second); took < 60*time.Second || took > 62*time.Second {
			t.Errorf("three times 2 MiB took %s", took)
		}
		if n := meter.Of(s)[meter.Put]; n.Requests != 3 || n.Bytes != 6<<20 {
			t.Errorf("counted %+v", n)
		}
	})
}

func TestRefused(t *testing.T) {
	for _, r := range []config.Repository{
		{URL: ""},
		{URL: "ftp://x/y"},
		{URL: "dir://relative"},
		{URL: "dir:///nowhere/at/all"},
		{URL: "s3://b", AccessKeyFile: "/nowhere", SecretKeyFile: "/nowhere"},
	} {
		var s store.Store
		s, err := open.Open(t.Context(), r)
		if err == nil || s != nil {
			t.Fatalf("%+v: %v, %v", r, s, err)
		}
		want := ivd.Invalid
		if r.URL == "dir:///nowhere/at/all" { // it may be there later
			want = ivd.Unmet
		}
		if kind := ivd.KindOf(err); kind != want {
			t.Errorf("%+v: kind %q: %v", r, kind, err)
		}
	}
}
