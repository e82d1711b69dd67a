package backup_test

import (
	"slices"
	"testing"

	"ivdmover/coordinator/admit"
	"ivdmover/coordinator/backup"
	"ivdmover/coordinator/coordtest"
	"ivdmover/coordinator/engine"
	"ivdmover/deploy/lab"
	"ivdmover/shared/ivd"
)

// A disk that is attached needs a handle of its machine's host, and each disk of a
// standalone host one of that; of a detached disk of a vCenter no host is known.
func TestAHostIsNeededWhereItIsKnown(t *testing.T) {
	t.Parallel()
	for what, esx := range map[string]bool{"vCenter": false, "ESXi host": true} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b := coordtest.NewWith(t, lab.Options{ESX: esx})
			b.Disk("detached", 8)
			attached := b.Disk("attached", 8)
			b.Must(b.Owner.Attach(t.Context(), attached.Ref, 1))
			c := b.Coordinator("one")
			s, err := c.Backup.Run(t.Context(), backup.Request{All: true})
			b.Must(err)
			hosts := map[string]ivd.HostID{"attached": b.VC.OnlyHost(), "detached": b.VC.OnlyHost()}
			if (b.VC.OnlyHost() == "") == esx {
				t.Fatalf("the only host is %q", b.VC.OnlyHost())
			}
			for _, it := range s.Items {
				d := it.Body.(backup.Disk)
				if !esx && d.Name == "attached" {
					if d.Host == "" {
						t.Error("the host of an attached disk is not known")
					}
					hosts[d.Name] = d.Host
				}
				got, err := c.Backup.Tokens([]engine.Item{{Key: it.Key, Body: coordtest.Body(d)}})
				b.Must(err)
				if want := admit.OfDisk(d.Ref, hosts[d.Name]); !slices.Equal(got, want) {
					t.Errorf("%s: %+v, want %+v", d.Name, got, want)
				}
			}
			if len(s.Items) != 2 {
				t.Errorf("%d items", len(s.Items))
			}
		})
	}
}
