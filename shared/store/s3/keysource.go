package s3

import (
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"ivdmover/shared/ivd"
)

// roleRest is how long the service that gives a role's key is left alone after it was
// asked.
const roleRest = 10 * time.Second

// newKeyring is the key that a configuration names, of a store at host.
func newKeyring(c Config, host string) *keyring {
	k := &keyring{log: c.Log, lasts: "its file changes"}
	if k.log == nil {
		k.log = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.AccessKey != "":
		k.fromPair(c)
	case c.CredentialsFile != "":
		k.from, k.remedy = c.CredentialsFile, noticed(c.CredentialsFile)
		k.read = func() (credentials.Value, error) {
			return (&credentials.FileAWSCredentials{Filename: c.CredentialsFile}).RetrieveWithCredContext(nil)
		}
	default:
		k.fromChain(host)
	}
	return k
}

func noticed(file string) string {
	return "write the right key to " + file + ": that is noticed at once"
}

func (k *keyring) fromPair(c Config) {
	k.value = pair(c.AccessKey, c.SecretKey)
	if c.ReadKeys == nil {
		k.read = func() (credentials.Value, error) { return pair(c.AccessKey, c.SecretKey), nil }
		return
	}
	k.from, k.remedy = c.KeyFiles, noticed(c.KeyFiles)
	k.read = func() (credentials.Value, error) {
		access, secret, err := c.ReadKeys()
		return pair(access, secret), err
	}
}

// fromChain is the key of the environment, or else of the file that the AWS CLI reads, or
// else of a role. The machine's role is looked for at Amazon only: elsewhere its address
// answers nobody, slowly.
func (k *keyring) fromChain(host string) {
	chain := &credentials.Chain{Providers: []credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}}}
	role := os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE") != "" || os.Getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") != "" ||
		os.Getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI") != ""
	if role || strings.HasSuffix(host, ".amazonaws.com") {
		chain.Providers = append(chain.Providers, &credentials.IAM{Client: &http.Client{Timeout: 10 * time.Second}})
	}
	k.read, k.expired, k.rest = func() (credentials.Value, error) {
		v, err := chain.RetrieveWithCredContext(nil)
		if err == nil && v.AccessKeyID == "" {
			err = errNoKey
		}
		return v, err
	}, chain.IsExpired, roleRest
	if os.Getenv("AWS_ACCESS_KEY_ID") != "" || os.Getenv("AWS_ACCESS_KEY") != "" {
		k.from, k.lasts = "AWS_ACCESS_KEY_ID", "the program is started again with another one"
		k.remedy = "correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and start the program again"
		return
	}
	k.from, k.lasts = "the AWS CLI's file, or a role", "there is another one"
	k.remedy = "correct the AWS CLI's file, or the role that this machine has: that is noticed within seconds"
}

func pair(access, secret ivd.Secret) credentials.Value {
	return credentials.Value{AccessKeyID: access.Reveal(), SecretAccessKey: secret.Reveal(), SignerType: credentials.SignatureV4}
}
