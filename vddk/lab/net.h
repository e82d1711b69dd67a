/*
 * The transports nbdssl and nbd: a TLS connection to the data port for each open
 * disk, and one thread that alone touches it. A request is cut into pieces of an
 * NFC buffer's size, of which as many are under way as there are buffers, so
 * that responses of several requests come interleaved.
 */
#ifndef IVD_LAB_NET_H
#define IVD_LAB_NET_H

#include "wire.h"

struct piece {
	struct lab_request *request; /* NULL: a free buffer */
	uint64_t id, count;
	uint8_t *buffer;
};

struct net {
	struct labtls *tls;
	pthread_t thread;
	int wake;
	pthread_mutex_t lock;
	struct lab_request *first, **last; /* submitted, under lock */
	bool stop;
	/* the thread's alone */
	struct lab_request *queue, **queue_last;
	struct piece *pieces;
	unsigned window, busy;
	uint64_t next_id;
	bool stopping, broken, read_blocked_on_write, write_blocked;
	struct wire_request out;
	uint64_t out_chunk;
	const uint8_t *out_at[2];
	size_t out_left[2];
	struct wire_response in;
	size_t in_have;
	struct piece *in_piece;
	uint8_t *in_payload; /* of our own: an error's text, or blocks */
	uint8_t *in_at;
	size_t in_left;
};

/* Whether a session may have so many buffers: checked before a ticket is asked for. */
VixError net_check_buffers(void);

/* pieces.c: each returns whether something was sent or received, and marks a broken
 * connection as broken. */
bool net_send(struct net *net);
bool net_receive(struct net *net);
/* Ends all requests under way: the connection is gone. */
void net_fail_all(struct net *net);

#endif
