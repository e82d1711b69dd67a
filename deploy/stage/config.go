package stage

import (
	"crypto/rand"
	"errors"
	"os"
	"text/template"
)

// Config is what of the configuration file differs between set-ups.
type Config struct {
	Repository string // URL
	Endpoint   string // of S3
	Plain      bool   // the repository is not encrypted
	Passphrase string // the file with its passphrase, which is made where it is missing
	KeyFiles   bool   // the S3 server's key is in files, and not in the environment
	Queue      string // keys of the queue; none: the embedded one, without a port
	API        string
	Handles    int
	Memory     string
	CBT        string // of the policy "all"
	Limits     string // of the vCenter: keys of its limits; none: their defaults
	Collect    string // keys of the collection; none: their defaults
	AckWait    string // how long a mover may be silent before its jobs go to another
	Transports string // of the movers, in their order
	BIOSUUID   string // of the machine that the movers take themselves for
	LUNs       string // that it sees
}

func defaultConfig() Config {
	return Config{Handles: 2, Memory: "128MiB", CBT: "enable", Transports: "nbdssl", Collect: `schedule: ""`}
}

var configFile = template.Must(template.New("ivd.yaml").Parse(`vcenters:
  - name: lab
    url: {{.Lab.URL}}
    username: {{.Lab.Username}}
    password_file: {{.PasswordFile}}
    thumbprint: "{{.Lab.Thumbprint}}"
{{- if .Limits}}
    limits: { {{.Limits}} }
{{- end}}
repository:
  url: {{.Repository}}
{{- if .Endpoint}}
  endpoint: {{.Endpoint}}
  region: us-east-1
{{- end}}
{{- if .Passphrase}}
  passphrase_file: {{.Passphrase}}
{{- end}}
{{- if .KeyFiles}}
  access_key_file: {{.AccessKeyFile}}
  secret_key_file: {{.SecretKeyFile}}
{{- end}}
queue: { {{if .AckWait}}ack_wait: {{.AckWait}}, {{end}}{{.Queue}} }
policies:
  - name: all
    select: { datastores: ["*"], names: ["*"] }
    cbt: {{.CBT}}
mover:
  handles: {{.Handles}}
  memory: {{.Memory}}
{{- if .BIOSUUID}}
  bios_uuid: {{.BIOSUUID}}
  luns: [{{.LUNs}}]
{{- end}}
  vddk: { libdir: {{.Lab.VDDKLibDir}}, transports: [{{.Transports}}] }
{{- if .Collect}}
collect: { {{.Collect}} }
{{- end}}
api: { listen: {{.API}} }
state_dir: {{.StateDir}}
`))

// ConfigFile is where WriteConfig puts the file.
func (s *Stage) ConfigFile() string { return s.Path("etc", "ivd.yaml") }

// WriteConfig writes the configuration file that coordinator and movers share. What
// is not set yet is filled in: free ports, a repository in the stage's folder.
func (s *Stage) WriteConfig() (err error) {
	if s.Config.API == "" {
		if s.Config.API, err = FreePort(); err != nil {
			return err
		}
	}
	if s.Config.Repository == "" {
		s.Config.Repository = "dir://" + s.Path("repository")
	}
	password := s.Path("etc", "vcenter.password")
	if err := os.WriteFile(password, []byte(s.Lab.Password+"\n"), 0o600); err != nil {
		return err
	}
	if err := s.writePassphrase(); err != nil {
		return err
	}
	if s.Config.KeyFiles {
		if err := errors.Join(s.writeKey(s.accessKeyFile(), s3User), s.WriteS3Key()); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(s.ConfigFile(), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	return configFile.Execute(f, struct {
		Config
		Lab                          Ready
		PasswordFile, StateDir       string
		AccessKeyFile, SecretKeyFile string
	}{s.Config, s.Lab, password, s.Path("state"), s.accessKeyFile(), s.SecretKeyFile()})
}

// writePassphrase makes up a passphrase for the repository, unless it has one.
func (s *Stage) writePassphrase() error {
	if s.Config.Plain {
		s.Config.Passphrase = ""
		return nil
	}
	if s.Config.Passphrase == "" {
		s.Config.Passphrase = s.Path("etc", "repository.passphrase")
	}
	if isFile(s.Config.Passphrase) {
		return nil
	}
	return os.WriteFile(s.Config.Passphrase, []byte(rand.Text()+"\n"), 0o600)
}
