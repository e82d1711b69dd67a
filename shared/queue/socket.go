package queue

import (
	"context"
	"net"
	"strings"

	"ivdmover/shared/socket"
)

// SocketURL is the URL of the queue that `ivd serve` relays to at a unix socket.
func SocketURL(path string) string { return socketScheme + path }

const socketScheme = "unix://"

// socket is the path that the URL names, or empty where it names a host.
func (o Options) socket() string {
	if path, ok := strings.CutPrefix(o.URL, socketScheme); ok {
		return path
	}
	return ""
}

// server is the URL for the library, which knows nothing of sockets.
func (o Options) server() string {
	if o.socket() != "" {
		return "nats://socket"
	}
	return o.URL
}

// bySocket has the library connect to a socket, whatever address it asks for.
type bySocket string

// Dial connects.
func (path bySocket) Dial(string, string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), tryTimeout)
	defer cancel()
	return socket.Dial(ctx, string(path))
}
