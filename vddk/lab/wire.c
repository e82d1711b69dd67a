/* See wire.h; and what needs no open disk: PrepareForAccess, EndAccess. */
#include <string.h>

#include "wire.h"
#include "world.h"

VixError wire_exchange(struct labtls *tls, uint16_t op, const char *payload, char *answer) {
	size_t length = payload ? strlen(payload) : 0;
	struct wire_request out = {
		.magic = WIRE_REQUEST_MAGIC, .version = WIRE_VERSION, .op = op, .payload = (uint32_t)length};
	struct wire_response in;
	answer[0] = 0;
	if (!lab_tls->write_all(tls, &out, sizeof out, lab_config.read_ms) ||
	    !lab_tls->write_all(tls, payload, length, lab_config.read_ms) ||
	    !lab_tls->read_all(tls, &in, sizeof in, lab_config.read_ms))
		return VIX_CONN_LOST;
	if (in.magic != WIRE_RESPONSE_MAGIC || in.version != WIRE_VERSION || in.op != op || in.payload >= WIRE_TEXT_MAX)
		return VIX_HANDSHAKE;
	if (!lab_tls->read_all(tls, answer, in.payload, lab_config.read_ms))
		return VIX_CONN_LOST;
	answer[in.payload] = 0;
	if (in.code != VIX_OK)
		lab_warn("the host refused: code %u, %s\n", in.code, answer);
	return in.code;
}

VixError wire_connect(const struct lab_ticket *ticket, struct labtls **tls) {
	lab_log("NBD: connecting to %s port %u\n", ticket->host, ticket->port);
	return lab_dial(ticket->host, ticket->port, ticket->thumbprint, tls);
}

VixError lab_access(const VixConnectParams *params, const char *identity, const char *op) {
	struct lab_ask ask = {.params = params, .op = op, .mode = "nbdssl"};
	struct lab_ticket ticket;
	struct labtls *tls;
	VixError err = lab_ask_ticket(&ask, &ticket);
	if (err == VIX_OK) {
		lab_world(ticket.dir);
		err = wire_connect(&ticket, &tls);
	}
	if (err != VIX_OK)
		return err;
	char payload[1024], answer[WIRE_TEXT_MAX];
	snprintf(payload, sizeof payload, "ticket=%s\nidentity=%s\n", ticket.ticket, identity);
	err = wire_exchange(tls, strcmp(op, "prepare") == 0 ? WIRE_PREPARE : WIRE_END, payload, answer);
	lab_tls->close(tls);
	return err;
}
