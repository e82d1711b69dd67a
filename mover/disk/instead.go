package disk

import (
	"fmt"
	"strings"
)

// otherTransport is that the library has opened a disk by another transport than the
// one that it was asked for. ConnectEx takes an advanced transport that is not
// available, and Open then falls back to NBDSSL without an error (VMware's guide for
// 8.0, VixDiskLib_ConnectEx): only VixDiskLib_GetTransportMode tells.
type otherTransport struct{ asked, used string }

func (o *otherTransport) Error() string {
	return fmt.Sprintf("asked for %s, the library used %s", o.asked, o.used)
}

// serves reports whether what the library uses is what was asked for. NBD with TLS is
// NBD, and no less.
func serves(asked, used string) bool {
	return strings.EqualFold(asked, used) || asked == nbd && used == nbdssl
}
