package inventory

import (
	"context"
	"strings"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"

	"ivdmover/shared/ivd"
)

// sourceOf asks what a vCenter or a host is called for ever. A standalone host has no
// instance UUID of its own (AboutInfo.instanceUuid is a vCenter's).
func sourceOf(ctx context.Context, c *vim25.Client) (ivd.SourceID, error) {
	const op = "ask for the server's UUID"
	id := c.ServiceContent.About.InstanceUuid
	if !c.IsVC() {
		var err error
		if id, err = hardwareUUID(ctx, c); err != nil {
			return "", fail(ctx, op, err)
		}
	}
	source, err := ivd.ParseSourceID(strings.ToLower(strings.TrimSpace(id)))
	if err != nil {
		return "", &ivd.Error{Kind: ivd.Unsupported, Op: op, Err: err, Remedy: "look whether a proxy between ivd and vSphere changes its answers"}
	}
	return source, nil
}

// hardwareUUID is that of the one host behind a connection to it.
func hardwareUUID(ctx context.Context, c *vim25.Client) (string, error) {
	ctx, end := context.WithTimeout(ctx, callTimeout)
	defer end()
	hosts, err := view.NewManager(c).CreateContainerView(ctx, c.ServiceContent.RootFolder, []string{"HostSystem"}, true)
	if err != nil {
		return "", err
	}
	defer func() { _ = hosts.Destroy(ctx) }() // it ends with the session
	refs, err := hosts.Find(ctx, []string{"HostSystem"}, property.Match{})
	if err != nil {
		return "", err
	}
	if len(refs) != 1 {
		return "", ivd.Errorf(ivd.Unsupported, "%d hosts where one was expected", len(refs))
	}
	var host mo.HostSystem
	if err := property.DefaultCollector(c).RetrieveOne(ctx, refs[0], []string{"hardware.systemInfo.uuid"}, &host); err != nil {
		return "", err
	}
	if host.Hardware == nil {
		return "", ivd.Errorf(ivd.Denied, "the host does not tell its hardware's UUID")
	}
	return host.Hardware.SystemInfo.Uuid, nil
}
