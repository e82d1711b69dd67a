package disk

import (
	"testing"

	"ivdmover/coordinator/inventory"
	"ivdmover/deploy/lab"
	"ivdmover/deploy/lab/script"
	"ivdmover/mover/disk/disktest"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// startLab starts a laboratory; that the library was used as it may be is looked at
// when the test ends.
func startLab(t testing.TB, dir string, disks int) *lab.Lab {
	t.Helper()
	libdir, err := disktest.LibDir()
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.Start(t.Context(), lab.Options{Dir: dir, Disks: disks, DiskSize: 8 << 20, LibDir: libdir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		misuses, err := script.Misuses(dir)
		if err != nil || len(misuses) > 0 {
			t.Errorf("the library was misused: %+v, %v", misuses, err)
		}
	})
	return l
}

// labDisks are the laboratory's disks, and two logins for them: by password and by
// a live session's cookie.
func labDisks(t testing.TB, l *lab.Lab) (refs []ivd.DiskRef, password, cookie job.Login, v *inventory.VCenter) {
	t.Helper()
	r := l.Ready()
	v, err := inventory.Connect(t.Context(), inventory.Config{
		Name: "lab", URL: r.URL, Username: r.Username, Password: ivd.Secret(r.Password), Thumbprint: r.Thumbprint,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	if cookie, err = v.Login(t.Context()); err != nil {
		t.Fatal(err)
	}
	for d, err := range v.Disks(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, d.Ref)
	}
	password = cookie
	password.Cookie, password.User, password.Password = "", r.Username, ivd.Secret(r.Password)
	return refs, password, cookie, v
}
