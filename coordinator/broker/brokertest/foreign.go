// Package brokertest runs a queue's server as an operator does who has one of his own:
// it knows nothing of this program, and keeps its files as it likes.
package brokertest

import (
	"errors"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Foreign is such a server, in this process. It lets everybody in.
type Foreign struct{ *server.Server }

// Start starts one on the files below a folder, a broker's among them.
func Start(dir string) (Foreign, error) {
	s, err := server.NewServer(&server.Options{ServerName: "foreign", StoreDir: dir, JetStream: true, SyncAlways: true, NoSigs: true, DontListen: true})
	if err != nil {
		return Foreign{}, err
	}
	s.Start()
	if !s.ReadyForConnections(time.Minute) {
		s.Shutdown()
		return Foreign{}, errors.New("the foreign server is not ready in time")
	}
	return Foreign{s}, nil
}

// Token is none.
func (Foreign) Token() string { return "" }

// Close ends it.
func (f Foreign) Close() { f.Shutdown(); f.WaitForShutdown() }
