package keys_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/keys"
)

// What holds keys prints none, whichever way it gets into a log or an error.
func TestKeysAreNotPrinted(t *testing.T) {
	m := newMaster(t)
	e := must[keys.Export](t)(m.Export(domain, "two", now))
	a := must[*keys.Access](t)(m.Access(domain))
	g, f := a.Grant(), m.File(domain, "me", now)
	sheet := keys.Recovery{Secret: ivd.NewKey(), Repository: repository, Root: m.Root()}
	passphrase := keys.Passphrase("correct horse")
	w := must[*format.WriterKeys](t)(a.Writer(ivd.NewWriterID()))
	var secrets []string
	for _, key := range [][]byte{e.Content, e.Metadata, e.Record, e.Signer.Seed, f.Secret, sheet.Secret.Reveal(), w.Sign.Seed(), w.Frame.Reveal()} {
		secrets = append(secrets, string(key), base64.StdEncoding.EncodeToString(key), fmt.Sprintf("%v", key), fmt.Sprintf("%#v", key), hex.EncodeToString(key), hex.EncodeToString(key[:8]))
	}
	secrets = append(secrets, "correct horse")
	for what, v := range map[string]any{"all keys": m, "an access": a, "an export": e, "a pointer to one": &e, "a grant": g, "a writer's": w, "a key file": f, "a sheet": sheet, "an opening": passphrase, "another": f.Opening()} {
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("it", "v", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("it", "v", v)
		for _, said := range []string{fmt.Sprint(v), fmt.Sprintf("%+v %#v %s %q %x", v, v, v, v, v), fmt.Errorf("of %v", v).Error(), log.String()} {
			for _, s := range secrets {
				if strings.Contains(said, s) {
					t.Errorf("%s: a secret is in %q", what, said)
				}
			}
		}
	}
	// A part in the place of another may be the secret.
	for _, text := range []string{
		strings.Replace(sheet.Text(), ":"+strings.ToUpper(m.Root().String()), ":"+strings.Join(strings.Split(sheet.Text(), ":")[4:], ""), 1),
		sheet.Text()[:len(sheet.Text())-1], sheet.Text() + ":",
	} {
		letters := strings.Split(sheet.Text(), ":")[4]
		if _, err := keys.ReadOpening(ivd.Secret(text)); err == nil || strings.Contains(strings.ToUpper(err.Error()), letters[:9]) {
			t.Errorf("%v", err)
		}
	}
}
