/* The frames of the laboratory's data port, which stands for ESXi's port 902.
 * Little-endian, as this machine is. */
#ifndef IVD_LAB_WIRE_H
#define IVD_LAB_WIRE_H

#include "ticket.h"

#define WIRE_REQUEST_MAGIC 0x51464e4cu  /* "LNFQ" */
#define WIRE_RESPONSE_MAGIC 0x52464e4cu /* "LNFR" */
#define WIRE_VERSION 1
#define WIRE_PAYLOAD_MAX (16u << 20)
#define WIRE_TEXT_MAX 4096

enum wire_op { WIRE_OPEN = 1, WIRE_CLOSE = 6, WIRE_PREPARE = 7, WIRE_END = 8 }; /* beside enum lab_op */

struct wire_request {
	uint32_t magic;
	uint16_t version, op;
	uint64_t id, sector, count;
	uint32_t payload, zero;
};
static_assert(sizeof(struct wire_request) == 40, "wire_request");

struct wire_response {
	uint32_t magic;
	uint16_t version, op;
	uint64_t id;
	uint32_t code, payload;
};
static_assert(sizeof(struct wire_response) == 24, "wire_response");

/* One request and its response, nothing else under way on the connection. The
 * answer is a text of at most WIRE_TEXT_MAX with its zero. */
VixError wire_exchange(struct labtls *tls, uint16_t op, const char *payload, char *answer);
/* A connection to the data port that a ticket names. */
VixError wire_connect(const struct lab_ticket *ticket, struct labtls **tls);

#endif
