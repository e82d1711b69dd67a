// Package config is the one configuration file that coordinator and mover share.
// Both decode the whole file strictly, and each validates the parts that it uses.
//
// Each problem is one line with the file, the line and the key's path: an unknown
// key is named with the nearest known one, a key given twice or a value of the
// wrong type is refused. Every key has a default, kept in one place. The doc tags
// of the structs are the reference manual (Reference).
//
// The file never contains a secret: it names files that do. Keys of policies that
// are not built yet are refused by package policy, not here.
package config

import "time"

// Config is the whole file.
type Config struct {
	VCenters   []VCenter  `yaml:"vcenters" doc:"The vCenters (or ESXi hosts) whose disks are backed up. Only the coordinator uses it: a mover gets a login with each job."`
	Repository Repository `yaml:"repository" doc:"Where restore points are kept. The same for the coordinator and all movers."`
	Queue      Queue      `yaml:"queue" doc:"The NATS JetStream that carries jobs."`
	Collect    Collect    `yaml:"collect" doc:"Deleting what no restore point names."`
	Policies   []Policy   `yaml:"policies" doc:"What to back up, when, and how long to keep it."`
	Mover      Mover      `yaml:"mover" doc:"This host as a mover."`
	API        API        `yaml:"api" doc:"The coordinator's HTTP service, which the command line and the page use."`
	StateDir   string     `yaml:"state_dir" doc:"The coordinator's folder for the embedded queue and its lock file. One coordinator uses it at a time."`

	where where
}

// VCenter is one vCenter or ESXi host.
type VCenter struct {
	Name         string     `yaml:"name" doc:"Its name in commands and restore points. Do not change it once there are restore points." example:"lab"`
	URL          string     `yaml:"url" doc:"Its vSphere API." example:"https://vcenter.example.net/sdk"`
	Username     string     `yaml:"username" doc:"The user to log in as." example:"backup@vsphere.local"`
	PasswordFile string     `yaml:"password_file" doc:"A file that contains the password and nothing else, readable by the coordinator alone." example:"/etc/ivd/vcenter.password"`
	Thumbprint   Thumbprint `yaml:"thumbprint" doc:"SHA-1 of its certificate, as VDDK wants it: AA:BB:… Empty: the certificate is verified by the system's CAs, and its thumbprint read from it."`
	NFCPort      int        `yaml:"nfc_port" doc:"The port of the hosts' block service. 0: what vCenter or VDDK say, usually 902."`
	Limits       Limits     `yaml:"limits" doc:"How much one coordinator may ask of this vCenter."`
}

// Limits bound what a coordinator asks of a vCenter and of what it manages.
type Limits struct {
	HostHandles      int      `yaml:"host_handles" doc:"Disks under way at once of one ESXi host: that of the machine that they are attached to, or the standalone host itself. Of other disks it is not known."`
	DatastoreHandles int      `yaml:"datastore_handles" doc:"Disks open at once on one datastore."`
	Tasks            int      `yaml:"tasks" doc:"vSphere tasks at once."`
	SnapshotAge      Duration `yaml:"snapshot_age" doc:"The age of a snapshot of ours at which its disk's attempt is ended."`
	FreeSpace        Percent  `yaml:"free_space" doc:"The share of a datastore that is free below which no snapshot is made on it. 0%: it is not asked for."`
}

// Repository says where a repository is and how to get at it.
type Repository struct {
	URL             string   `yaml:"url" doc:"s3://BUCKET/PREFIX, or dir:///FOLDER for a folder that exists." example:"s3://backups/estate-1"`
	Endpoint        string   `yaml:"endpoint" doc:"The S3 service. Empty: Amazon's, of the region." example:"https://s3.example.net"`
	Region          string   `yaml:"region" doc:"The bucket's region. Empty: AWS_REGION, or asked of the service."`
	PathStyle       *bool    `yaml:"path_style" doc:"true: the bucket is in the path of each URL; false: in the host name. Empty: in the host name at Amazon, in the path elsewhere."`
	CAFile          string   `yaml:"ca_file" doc:"PEM file with authorities for the service's certificate, beside the system's."`
	Checksum        string   `yaml:"checksum" doc:"By which checksum the service checks what it gets: crc32c, or md5 for a service that refuses headers with other checksums."`
	AccessKeyFile   string   `yaml:"access_key_file" doc:"A file with the access key id. Empty: credentials_file, or the usual AWS chain (AWS_ACCESS_KEY_ID, ~/.aws/credentials, the machine's role)."`
	SecretKeyFile   string   `yaml:"secret_key_file" doc:"A file with the secret access key, together with access_key_file."`
	CredentialsFile string   `yaml:"credentials_file" doc:"A credentials file as the AWS CLI writes it, profile AWS_PROFILE or default, instead of the two."`
	Recheck         Duration `yaml:"recheck" doc:"Within which time every pack that backups build on is asked for: whether it is there, in its length. What they read the disk for is asked for each time. 0: all of it, each time."`
	DedupTrust      string   `yaml:"dedup_trust" doc:"Which packs of other movers a backup builds on that has the same content: proven, those of which somebody with the keys has opened every frame; or writers, those too that nobody has looked into yet, for which a restore then depends on that mover's word; restore points count how much."`

	Verify Verify `yaml:"verify" doc:"How often packs are read back."`

	Root   KeyID       `yaml:"root" doc:"The id of an encrypted repository's root key, as ivd repo init and ivd repo info show it. Set: a repository of another root, or one that is not encrypted, is refused. Each mover's own configuration should name it: what else a mover is told of the repository comes from elsewhere."`
	Limits StoreLimits `yaml:"limits" doc:"How much this process asks of the store, all its requests together; each mover and the coordinator is a process of its own."`

	Lock Lock `yaml:"lock" doc:"Object lock of the bucket: what restore points need cannot be deleted, nor replaced for good, before a time, whoever's credentials are stolen. Coordinator and movers need the same."`

	Prices Prices `yaml:"prices" doc:"What the service charges, for ivd repo cost."`
	Domain string `yaml:"domain" doc:"The domain of an encrypted repository that this coordinator, its movers and commands work in, by its name or id, as ivd repo domain list shows them: a tenant's, with keys of its own. Its restore points alone are seen, and nothing is shared with another's. Empty: that of backup_key_file, else the repository's own."`

	BackupKeyFile  string `yaml:"backup_key_file" doc:"A file with an export of an encrypted repository's keys: what a coordinator needs that backs up and does not restore. Only the coordinator reads it."`
	PassphraseFile string `yaml:"passphrase_file" doc:"A file with an encrypted repository's passphrase and nothing else, or a key file, or the secret of a recovery sheet on one line: with it everything can be done, restores among it. Only the coordinator, and commands that read this file, read it. Beside backup_key_file, the repository must be that of the export, with whose key restore points are signed."`
}

// Verify is how often packs are read back.
type Verify struct {
	NewPacks Duration `yaml:"new_packs" doc:"Within which time every frame of a new pack is to be opened by a mover, another than has stored it where there is one: ivd verify --packs new does what is to be done. It looks through the runs of ten times as long."`
	Every    Duration `yaml:"every" doc:"Within which time every pack is to be read again: ivd verify --packs due, once a day, reads the share whose turn it is."`
	Schedule string   `yaml:"schedule" doc:"When ivd serve does both, as cron says it, such as 0 12 * * * for each noon: once a day, so that every byte is read in time. Of several coordinators one does it. What a service asks for reading it costs. Empty: it does not; run ivd verify."`
	Timezone string   `yaml:"timezone" doc:"By whose clock, such as Europe/Berlin. Empty: UTC."`
}

// Zone is the time zone of the schedule.
func (v Verify) Zone() (*time.Location, error) { return zone(v.Timezone) }

// Prices are what the service that has the bucket charges.
type Prices struct {
	Currency string `yaml:"currency" doc:"In what." example:"EUR"`
	Storage  Price  `yaml:"storage" doc:"A gigabyte (10^9 bytes) that is stored for a month."`
	Put      Price  `yaml:"put" doc:"A thousand requests that store or lock an object."`
	Get      Price  `yaml:"get" doc:"A thousand requests that read an object, or ask for it."`
	List     Price  `yaml:"list" doc:"A thousand requests that list objects."`
	Delete   Price  `yaml:"delete" doc:"A thousand requests that delete an object."`
	Received Price  `yaml:"received" doc:"A gigabyte that comes from the bucket to movers and coordinator."`
}

// Lock says how objects of the bucket are locked.
type Lock struct {
	For  Duration `yaml:"for" doc:"For how long at least from a backup on, a day or more: all that its restore point needs, packs of older backups with it. Up to a quarter longer, so that they need be locked again only four times in that. 0: nothing is locked." example:"30d"`
	Mode string   `yaml:"mode" doc:"governance: who has the right to s3:BypassGovernanceRetention may end a lock early; or compliance: nobody can, not even the account's owner, whatever is stored by mistake."`
}

// StoreLimits bound what one process asks of the store.
type StoreLimits struct {
	Upload   Size         `yaml:"upload" doc:"Bytes a second that are sent. 0: no limit."`
	Download Size         `yaml:"download" doc:"Bytes a second that are read. 0: no limit."`
	Requests int          `yaml:"requests" doc:"Requests a second. 0: no limit."`
	Timezone string       `yaml:"timezone" doc:"Whose clock hours go by, such as Europe/Berlin. Empty: this host's."`
	Hours    []LimitHours `yaml:"hours" doc:"Other limits at some hours of the week. Of several that a moment lies in, the first counts."`
}

// LimitHours are limits at some hours of the week.
type LimitHours struct {
	Days     []string  `yaml:"days" doc:"The days on which they begin: mon, tue, wed, thu, fri, sat, sun. Empty: each."`
	From     TimeOfDay `yaml:"from" doc:"When they begin."`
	To       TimeOfDay `yaml:"to" doc:"When they end, on the next day where that is earlier than from. The same as from: they last a day."`
	Upload   Size      `yaml:"upload" doc:"Bytes a second that are sent then. 0: no limit."`
	Download Size      `yaml:"download" doc:"Bytes a second that are read then. 0: no limit."`
	Requests int       `yaml:"requests" doc:"Requests a second then. 0: no limit."`
}

// Queue says which NATS to use.
type Queue struct {
	URL       string `yaml:"url" doc:"nats://HOST:PORT or tls://HOST:PORT, several separated by commas. Empty: embedded in ivd, with its files under state_dir; movers of the same user on the same machine reach it by a socket there, others name the coordinator's queue.listen here."`
	Listen    string `yaml:"listen" doc:"Address of the embedded queue, for movers of other hosts and users, each of which has as creds_file a copy of the file that ivd movers add makes for it. Off loopback only with tls. Empty: it has no port."`
	TLS       TLS    `yaml:"tls" doc:"The certificate of listen."`
	CredsFile string `yaml:"creds_file" doc:"NATS credentials file, or the seed of an nkey, for url. Empty: none."`
	CAFile    string `yaml:"ca_file" doc:"PEM file with authorities for the server's certificate, for url."`
	// The coordinator writes AckWait to the queue, where movers read it.
	AckWait Duration `yaml:"ack_wait" doc:"How long a mover may be silent before its jobs are delivered to another. Only the coordinator uses it."`
}

// Collect is how data that no restore point needs is deleted.
type Collect struct {
	Schedule        string   `yaml:"schedule" doc:"When ivd serve collects, as cron says it: minute, hour, day of the month, month, day of the week. Of several coordinators one does it. Empty: it does not; run ivd collect."`
	Timezone        string   `yaml:"timezone" doc:"By whose clock, such as Europe/Berlin. Empty: UTC."`
	CredentialsFile string   `yaml:"credentials_file" doc:"Credentials that may delete, in a file as the AWS CLI writes it: movers and ivd serve then need not be allowed to. Empty: the repository's."`
	MaxShare        Percent  `yaml:"max_share" doc:"The share of the repository's packs that may be condemned within 8 days without a person: more stops a collection, since a mistake may have given all points up."`
	MinAge          Duration `yaml:"min_age" doc:"How old a pack must be before it is condemned: a precaution, which safety does not need."`
}

// ToCollect is the repository as who collects opens it.
func (c *Config) ToCollect() Repository {
	r := c.Repository
	if c.Collect.CredentialsFile != "" {
		r.CredentialsFile, r.AccessKeyFile, r.SecretKeyFile = c.Collect.CredentialsFile, "", ""
	}
	return r
}

// Zone is the time zone of the schedule.
func (c Collect) Zone() (*time.Location, error) { return zone(c.Timezone) }

// Policy is a set of disks, and when and how they are backed up.
type Policy struct {
	Name     string   `yaml:"name" doc:"Its name in commands." example:"nightly"`
	Select   Select   `yaml:"select" doc:"Which disks; all conditions must hold."`
	Schedule string   `yaml:"schedule" doc:"When, as cron says it. Empty: on request only. Not built yet."`
	Window   Duration `yaml:"window" doc:"How long a run may take. 0: until it is done. Not built yet."`
	CBT      string   `yaml:"cbt" doc:"Changed block tracking: off (never use it), use (where it is on), enable (turn it on; see VMware KB 88193: a container volume with it may then not attach to its node)."`
	Timezone string   `yaml:"timezone" doc:"Whose hours, days, weeks, months and years keep counts, such as Europe/Berlin. Empty: UTC."`
	Keep     Keep     `yaml:"keep" doc:"Which restore points of each disk are kept, of those that this policy has made: one stays where any of these keys keeps it. Without them, every one." reference:"unset"`
}

// Select says which disks a policy selects.
type Select struct {
	Datastores []string `yaml:"datastores" doc:"Names of datastores, with * and ?."`
	Names      []string `yaml:"names" doc:"Names of disks, with * and ?."`
	Tags       []string `yaml:"tags" doc:"vSphere tags. Not built yet."`
	Namespaces []string `yaml:"namespaces" doc:"Kubernetes namespaces of container volumes. Not built yet."`
	VMs        []string `yaml:"vms" doc:"Virtual machines that the disks are attached to. Not built yet."`
	Attached   string   `yaml:"attached" doc:"any: attached to a virtual machine or not. Nothing else is built yet."`
}

// Keep counts the restore points to keep. A point stays where one of the keys keeps it.
type Keep struct {
	Last    int      `yaml:"last" doc:"The newest ones."`
	Hourly  int      `yaml:"hourly" doc:"The newest one of each of the last N hours that have one; with fewer hours than that, the oldest one too."`
	Daily   int      `yaml:"daily" doc:"Of each of the last N days that have one, likewise."`
	Weekly  int      `yaml:"weekly" doc:"Of each week, from Monday on, likewise."`
	Monthly int      `yaml:"monthly" doc:"Of each month, likewise."`
	Yearly  int      `yaml:"yearly" doc:"Of each year, likewise."`
	Within  Duration `yaml:"within" doc:"All that are no older than this, counted from the newest one, such as 7d."`
}

// Mover says what a mover may use of its host.
type Mover struct {
	Name         string `yaml:"name" doc:"Its name in lists and logs. Default: the host's name."`
	Handles      int    `yaml:"handles" doc:"Disks open at once."`
	Memory       Size   `yaml:"memory" doc:"Memory for the buffers of all open disks together."`
	DedupMemory  Size   `yaml:"dedup_memory" doc:"Memory for the index of what is stored already; more finds more duplicates."`
	CheckUploads string `yaml:"check_uploads" doc:"How much of what is about to be stored is opened again, in this mover's memory, and compared: sample, one frame of 16; all, which costs a good part of a core; or none."`
	VDDK         VDDK   `yaml:"vddk" doc:"VMware's Virtual Disk Development Kit."`

	BIOSUUID string   `yaml:"bios_uuid" doc:"The BIOS UUID of the VM that this host is, by which vCenter knows it. Empty: read from the firmware, which only root may and a container does not see."`
	LUNs     []string `yaml:"luns" doc:"Ids of the LUNs that this host sees, as ESXi names them (naa.6000…). Empty: read from /sys."`
}

// ChecksUploads is of how many frames one is opened before a pack is stored; 0: none is.
func (m Mover) ChecksUploads() int {
	switch m.CheckUploads {
	case CheckAll:
		return 1
	case CheckNone:
		return 0
	}
	return 16
}

// VDDK says where the library is.
type VDDK struct {
	LibDir     string   `yaml:"libdir" doc:"The folder that was unpacked: it has lib64/libvixDiskLib.so."`
	Transports []string `yaml:"transports" doc:"Transport modes that may be used, the best first: san, hotadd, nbdssl, nbd, file."`
	ConfigFile string   `yaml:"config_file" doc:"A file of lines NAME=VALUE for VDDK's configuration, which override those that the mover writes. Empty: none."`
	TempDir    string   `yaml:"temp_dir" doc:"A folder for VDDK's temporary files and the configuration written for it. It must be this mover's alone and the same at each start. Empty: a folder below TMPDIR."`
}

// API is the coordinator's HTTP service.
type API struct {
	Listen     string `yaml:"listen" doc:"Its address. Off loopback only with tls and tokens_file."`
	TLS        TLS    `yaml:"tls" doc:"Its certificate. Empty: plain HTTP."`
	TokensFile string `yaml:"tokens_file" doc:"A file with one token a line, each followed by a name. Empty: only the user of ivd serve gets in, by the token that it writes to api.token below state_dir at its start."`
}

// TLS names a certificate and its key, both PEM.
type TLS struct {
	CertFile string `yaml:"cert_file" doc:"Certificate chain."`
	KeyFile  string `yaml:"key_file" doc:"Private key."`
}
