/* A ticket to open a disk: the vCenter grants it, and names the host whose data port
 * takes it. */
#ifndef IVD_LAB_TICKET_H
#define IVD_LAB_TICKET_H

#include "lab.h"
#include "tls.h"

struct lab_ticket {
	char host[256], thumbprint[64], ticket[256];
	uint16_t port;
	char disk[64], snapshot[64]; /* the laboratory's names, also of what a VM and a path have named */
	/* Only where the laboratory and this library share a machine. */
	char dir[4096];                          /* its folder */
	char path[1024], datastore[256], lun[64]; /* the disk's descriptor below it; the names of its place */
	char machines[1024];                     /* that the disk is attached to, with commas between */
	bool thick, encrypted;
};

struct lab_ask {
	const VixConnectParams *params;
	const char *op, *mode;
	const char *path, *snapshot_ref; /* of a VM's disk */
	bool write;
};

/* Also for op "cleanup", which has no ticket and only tells the folder. */
VixError lab_ask_ticket(const struct lab_ask *ask, struct lab_ticket *ticket);
/* TLS to a server that has the thumbprint; what differs is logged. */
VixError lab_dial(const char *host, uint16_t port, const char *thumbprint, struct labtls **tls);
/* The value of a line "key=value" of a text, or false. */
bool lab_value(const char *text, const char *key, char *value, size_t size);
/* connect.c asks, net.c does: op is "prepare" or "end". */
VixError lab_access(const VixConnectParams *params, const char *identity, const char *op);

#endif
