package inventory

import (
	"context"
	"fmt"
	"strconv"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// Login is what a mover needs to open disks with VDDK: the cookie of a session
// that all movers share and that is not ours, so that theirs cannot end ours. It
// is alive when it is handed out, and kept so until Close.
func (v *VCenter) Login(ctx context.Context) (job.Login, error) {
	if err := v.movers.alive(ctx); err != nil {
		return job.Login{}, err
	}
	port := 443
	if p := v.movers.url.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil {
			return job.Login{}, fmt.Errorf("vCenter %s: port %q: %w", v.cfg.Name, p, err)
		}
		port = int(n)
	}
	cookie := v.movers.cookie()
	if cookie == "" {
		return job.Login{}, ivd.Errorf(ivd.Unsupported, "vCenter %s gave no session cookie", v.cfg.Name)
	}
	return job.Login{
		Server: v.movers.url.Hostname(), Port: port, NFCPort: v.cfg.NFCPort,
		User: v.cfg.Username, Cookie: ivd.Secret(cookie), Thumbprint: v.movers.trust.thumbprint(),
	}, nil
}
