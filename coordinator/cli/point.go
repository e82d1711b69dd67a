package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/catalogue"
	"ivdmover/coordinator/cli/text"
	"ivdmover/shared/damage"
	"ivdmover/shared/ivd"
	"ivdmover/shared/telemetry"
)

func (a *app) point() *cobra.Command {
	c := &cobra.Command{
		Use:   "point",
		Short: "Show one restore point",
		Example: `  ivd point show 1f0c2a9b
  ivd point show data-01@latest -o json`,
	}
	c.AddCommand(a.pointShow())
	return c
}

func (a *app) pointShow() *cobra.Command {
	c := &cobra.Command{
		Use:   "show POINT",
		Short: "Show a restore point, and what its disk was",
		Long: `Shows a restore point and all that it says of its disk, as it was when its snapshot
was made: where it lived, by which storage policy, with which tags, which virtual
machines had it, and what a Kubernetes cluster called it.

POINT is what ivd restore takes.`,
		Example: `  ivd point show 1f0c2a9b
  ivd point show data-01@latest -o json
  ivd point show data-01@2026-11-25T22:00`,
		Args: oneArg("POINT"),
		RunE: a.withClient(func(ctx context.Context, c *api.Client, args []string) error {
			name, err := pointName(args[0])
			if err != nil {
				return err
			}
			p, err := c.Point(ctx, name)
			if err != nil {
				return err
			}
			return a.show(p, func(w io.Writer) error { return writeFacts(w, pointFacts(p)) })
		}),
	}
	c.ValidArgsFunction = a.pointIDs()
	return a.withServer(a.withOutput(c))
}

// pointName is what the coordinator is to look for, where a person writes this. An
// error: it names no point, whatever points there are.
func pointName(arg string) (ivd.PointID, error) {
	name := catalogue.Localize(arg, time.Local)
	if _, err := catalogue.Resolve(nil, name, nil); ivd.KindOf(err) == ivd.Invalid {
		return "", err
	}
	return ivd.PointID(name), nil
}

func pointFacts(p api.PointDetail) []fact {
	was := p.Was
	read := string(p.Mode)
	if p.Tracking.Why != "" {
		read += " (" + p.Tracking.Why + ")"
	}
	facts := []fact{
		{"point", p.ShortID},
		{"time", moment(p.Point)},
		{"disk", fmt.Sprintf("%s, %s, %s", p.Name, p.Disk, telemetry.Bytes(p.Capacity))},
		{"created", text.Time(was.Created)},
		{"source", strings.Trim(p.VCenter+", "+p.Product, ", ")},
		{"datastore", join(p.Datastore, was.DatastoreType)},
		{"path", was.Path},
		{"provisioning", was.Provisioning},
	}
	if s := was.StoragePolicy; s != nil {
		facts = append(facts, fact{"storage policy", join(s.Name, s.ID)})
	}
	if e := was.Encryption; e != nil {
		facts = append(facts, fact{"encrypted", join("with key "+e.KeyID, e.Provider)})
	}
	for _, t := range was.Tags {
		facts = append(facts, fact{"tag", t.Category + ": " + t.Name})
	}
	for _, x := range was.Attachments {
		unit := ""
		if x.Unit != nil {
			unit = fmt.Sprint("unit ", *x.Unit)
		}
		facts = append(facts, fact{"attached to", join(x.Name, x.Controller, unit, x.Mode)})
	}
	if k := was.Kubernetes; k != nil {
		facts = append(facts,
			fact{"cluster", k.Cluster}, fact{"claim", strings.Trim(k.Namespace+"/"+k.PVC, "/")}, fact{"claim labels", pairs(k.Labels)},
			fact{"volume", k.PV}, fact{"volume labels", pairs(k.PVLabels)})
	}
	facts = append(facts, fact{"metadata", pairs(was.Metadata)}, fact{"read", read}, fact{"tracking", p.Tracking.CBT})
	if n := len(p.Damaged); n > 0 {
		facts = append(facts, fact{"damaged", fmt.Sprintf("packs that it needs and that are missing or wrong: %d", n)}, fact{"lost", lostOf(p)})
	}
	if !p.ProtectedUntil.IsZero() {
		facts = append(facts, fact{"protected until", text.Time(p.ProtectedUntil)})
	}
	if p.Kept != "" {
		facts = append(facts, fact{"kept", p.Kept})
	}
	if f := p.Forgotten; f != nil {
		by := f.Reason
		if p.Kept != "" {
			by += ", and stays as long as it is kept"
		}
		facts = append(facts, fact{"forgotten", join(text.Time(f.Time), by, string(f.Run))})
	}
	if p.Parent != nil {
		facts = append(facts, fact{"parent", catalogue.Short(*p.Parent)})
	}
	return append(facts, fact{"policy", p.Policy}, fact{"run", string(p.Run)}, fact{"stored", fmt.Sprintf("%s of %s read%s", telemetry.Bytes(p.StoredBytes), telemetry.Bytes(p.ReadBytes), unproven(p.Stats))})
}

// lostOf says what of the disk cannot be read any more.
func lostOf(p api.PointDetail) string {
	loss := damage.Loss{Ranges: p.Lost}
	if len(p.Lost) == 0 {
		return "nothing of the disk: all of it can be read"
	}
	return fmt.Sprintf("%s: bytes %s", telemetry.Bytes(loss.Bytes()), loss)
}

// join writes what there is of it one behind the other.
func join(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
}

// pairs writes keys with their values, in order.
func pairs(m map[string]string) string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		all = append(all, key+"="+m[key])
	}
	return strings.Join(all, ", ")
}
