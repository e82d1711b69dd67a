/* See net.h: requests cut into pieces, sent and received. */
#include <stdlib.h>

#include "net.h"

static void finish_piece(struct net *net, struct piece *piece, VixError err) {
	struct lab_request *request = piece->request;
	piece->request = NULL;
	net->busy--;
	if (err != VIX_OK && request->result == VIX_OK)
		request->result = err;
	request->pending--;
	bool all_sent = request->sent == (request->count ? request->count : 1);
	if (request->pending == 0 && (all_sent || net->broken)) {
		lab_complete(request, request->result);
	}
}

static bool is_transfer(const struct lab_request *request) {
	return request->op == LAB_READ || request->op == LAB_WRITE;
}

static void prepare_frame(struct net *net, struct lab_request *request, struct piece *piece) {
	uint64_t total = request->count ? request->count : 1;
	uint64_t most = is_transfer(request) ? lab_config.buffer_size / VIX_SECTOR_SIZE : total;
	uint64_t count = total - request->sent < most ? total - request->sent : most;
	*piece = (struct piece){.request = request, .id = net->next_id++, .count = count};
	if (request->buffer)
		piece->buffer = request->buffer + request->sent * VIX_SECTOR_SIZE;
	net->out = (struct wire_request){.magic = WIRE_REQUEST_MAGIC, .version = WIRE_VERSION,
		.op = (uint16_t)request->op, .id = piece->id, .sector = request->sector + request->sent,
		.count = request->count ? count : 0};
	net->out_at[1] = piece->buffer;
	if (request->op == LAB_WRITE) {
		net->out.payload = (uint32_t)(count * VIX_SECTOR_SIZE);
	} else if (request->op == LAB_ALLOCATED) {
		net->out_chunk = request->chunk;
		net->out_at[1] = (uint8_t *)&net->out_chunk;
		net->out.payload = sizeof net->out_chunk;
	}
	net->out_at[0] = (uint8_t *)&net->out;
	net->out_left[0] = sizeof net->out;
	net->out_left[1] = net->out.payload;
	request->sent += count;
	request->pending++;
	net->busy++;
	if (request->sent == total) {
		net->queue = request->next;
		if (!net->queue)
			net->queue_last = &net->queue;
	}
}

static bool next_frame(struct net *net) {
	if (!net->queue || net->busy == net->window)
		return false;
	struct piece *piece = net->pieces;
	while (piece->request)
		piece++;
	prepare_frame(net, net->queue, piece);
	return true;
}

bool net_send(struct net *net) {
	net->write_blocked = false;
	if (net->out_left[0] + net->out_left[1] == 0 && !next_frame(net))
		return false;
	int part = net->out_left[0] ? 0 : 1;
	ssize_t n = lab_tls->write(net->tls, net->out_at[part], net->out_left[part]);
	if (n > 0) {
		net->out_at[part] += n;
		net->out_left[part] -= (size_t)n;
		return true;
	}
	if (n == LABTLS_AGAIN)
		net->write_blocked = lab_tls->wants_write(net->tls);
	else
		net->broken = true;
	return false;
}

static bool start_payload(struct net *net) {
	struct wire_response *in = &net->in;
	net->in_piece = NULL;
	for (unsigned i = 0; i < net->window; i++)
		if (net->pieces[i].request && net->pieces[i].id == in->id)
			net->in_piece = &net->pieces[i];
	if (in->magic != WIRE_RESPONSE_MAGIC || in->version != WIRE_VERSION || !net->in_piece ||
	    in->op != net->in_piece->request->op || in->payload > WIRE_PAYLOAD_MAX)
		return false;
	net->in_left = in->payload;
	if (in->code == VIX_OK && in->op == LAB_READ) {
		net->in_at = net->in_piece->buffer;
		return in->payload == net->in_piece->count * VIX_SECTOR_SIZE;
	}
	net->in_payload = net->in_at = malloc(in->payload + 1);
	return net->in_payload != NULL;
}

static VixError take_blocks(struct net *net, struct lab_request *request) {
	struct lab_blocks blocks = {0};
	uint64_t end = request->sector + request->count;
	const VixBlock *block = (const VixBlock *)net->in_payload;
	for (size_t i = 0; i < net->in.payload / sizeof *block; i++) {
		if (block[i].offset < request->sector || block[i].offset > end || block[i].length > end - block[i].offset)
			return VIX_HANDSHAKE;
		lab_blocks_add(&blocks, block[i].offset, block[i].length);
	}
	request->blocks = lab_blocks_done(&blocks);
	return request->blocks ? VIX_OK : VIX_OUT_OF_MEMORY;
}

static void finish_response(struct net *net) {
	VixError err = net->in.code;
	if (err != VIX_OK && net->in_payload) {
		net->in_payload[net->in.payload] = 0;
		lab_warn("the host answered: code %u, %s\n", net->in.code, (char *)net->in_payload);
	} else if (net->in.op == LAB_ALLOCATED) {
		err = take_blocks(net, net->in_piece->request);
	}
	free(net->in_payload);
	net->in_payload = NULL;
	net->in_have = 0;
	struct piece *piece = net->in_piece;
	net->in_piece = NULL;
	finish_piece(net, piece, err);
}

bool net_receive(struct net *net) {
	bool header = net->in_have < sizeof net->in;
	uint8_t *at = header ? (uint8_t *)&net->in + net->in_have : net->in_at;
	ssize_t n = lab_tls->read(net->tls, at, header ? sizeof net->in - net->in_have : net->in_left);
	net->read_blocked_on_write = n == LABTLS_AGAIN && lab_tls->wants_write(net->tls);
	if (n <= 0) {
		net->broken |= n != LABTLS_AGAIN;
		return false;
	}
	if (header) {
		net->in_have += (size_t)n;
		if (net->in_have == sizeof net->in && !start_payload(net)) {
			lab_warn("the host speaks out of turn\n");
			net->broken = true;
			return false;
		}
	} else {
		net->in_at += n;
		net->in_left -= (size_t)n;
	}
	if (net->in_have == sizeof net->in && net->in_left == 0)
		finish_response(net);
	return true;
}

void net_fail_all(struct net *net) {
	for (unsigned i = 0; i < net->window; i++) {
		struct piece *piece = &net->pieces[i];
		if (!piece->request)
			continue;
		if (piece->request == net->queue) { /* partly sent: ends below */
			net->queue->pending--;
			piece->request = NULL;
			net->busy--;
		} else {
			finish_piece(net, piece, VIX_CONN_LOST);
		}
	}
	while (net->queue) {
		struct lab_request *request = net->queue;
		net->queue = request->next;
		lab_complete(request, VIX_CONN_LOST);
	}
	net->queue_last = &net->queue;
	net->out_left[0] = net->out_left[1] = 0;
}
