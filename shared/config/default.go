package config

import (
	"os"
	"time"
)

// Default is the configuration of an empty file.
func Default() *Config {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "mover"
	}
	return &Config{
		Repository: Repository{Checksum: "crc32c", Recheck: Duration(7 * 24 * time.Hour), DedupTrust: "proven", Lock: Lock{Mode: lockModes[0]}, Verify: Verify{NewPacks: Duration(3 * 24 * time.Hour), Every: Duration(30 * 24 * time.Hour)}},

		Collect: Collect{Schedule: "30 5 * * *", MaxShare: 50, MinAge: Duration(24 * time.Hour)},

		Queue: Queue{AckWait: Duration(20 * time.Second)},
		Mover: Mover{
			Name:        host,
			Handles:     4,
			Memory:      256 << 20,
			DedupMemory: 64 << 20,

			CheckUploads: CheckSample,
			VDDK: VDDK{
				LibDir:     "/usr/lib/vmware-vix-disklib",
				Transports: []string{"san", "hotadd", "nbdssl"},
			},
		},
		API:      API{Listen: "127.0.0.1:8440"},
		StateDir: "/var/lib/ivd",
	}
}

// defaultVCenter is a vCenter with the default of each key.
func defaultVCenter() VCenter {
	return VCenter{Limits: Limits{
		HostHandles:      12,
		DatastoreHandles: 8,
		Tasks:            16,
		SnapshotAge:      Duration(24 * time.Hour),
		FreeSpace:        10,
	}}
}

// DefaultPolicy is a policy with the default of each key: it selects every disk.
func DefaultPolicy() Policy {
	return Policy{
		Select: Select{Datastores: []string{"*"}, Names: []string{"*"}, Attached: "any"},
		CBT:    "use",
	}
}

func (v *VCenter) setDefaults() { *v = defaultVCenter() }
func (p *Policy) setDefaults()  { *p = DefaultPolicy() }
