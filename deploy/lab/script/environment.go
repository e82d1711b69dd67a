package script

// Variables of the environment that the laboratory's library reads when it is
// initialised. Programs that are to work with VMware's library know none of them: who starts
// them in a laboratory sets them.
const (
	// ProxyVariable is the BIOS UUID of the machine that the process plays. Empty: the firmware's.
	ProxyVariable = "IVD_LAB_PROXY"
	// TransportsVariable are the transports that the library has: "file:nbdssl:nbd". Empty: all.
	TransportsVariable = "IVD_LAB_TRANSPORTS"
	// FolderVariable is the laboratory's folder, for what comes before the first ticket.
	FolderVariable = "IVD_LAB_DIR"
)
