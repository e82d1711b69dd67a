/*
 * The transports nbdssl and nbd: a TLS connection to the data port for each open
 * disk, and one thread that alone touches it. A request is cut into pieces of an
 * NFC buffer's size, of which as many are under way as there are buffers, so
 * that responses of several requests come interleaved.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "wire.h"

#define SESSION_MAX (16u << 20) /* bytes of all buffers of a session */

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

/* ---- sending ---- */

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

/* True: something was sent. */
static bool send_some(struct net *net) {
	net->write_blocked = false;
	if (net->out_left[0] + net->out_left[1] == 0 && !next_frame(net))
		return false;
	int part = net->out_left[0] ? 0 : 1;
	ssize_t n = labtls_write(net->tls, net->out_at[part], net->out_left[part]);
	if (n > 0) {
		net->out_at[part] += n;
		net->out_left[part] -= (size_t)n;
		return true;
	}
	if (n == LABTLS_AGAIN)
		net->write_blocked = labtls_wants_write(net->tls);
	else
		net->broken = true;
	return false;
}

/* ---- receiving ---- */

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

/* True: something was received. */
static bool receive_some(struct net *net) {
	bool header = net->in_have < sizeof net->in;
	uint8_t *at = header ? (uint8_t *)&net->in + net->in_have : net->in_at;
	ssize_t n = labtls_read(net->tls, at, header ? sizeof net->in - net->in_have : net->in_left);
	net->read_blocked_on_write = n == LABTLS_AGAIN && labtls_wants_write(net->tls);
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

/* ---- the thread ---- */

static void take_submitted(struct net *net) {
	pthread_mutex_lock(&net->lock);
	if (net->first) {
		*net->queue_last = net->first;
		net->queue_last = net->last;
		net->first = NULL;
		net->last = &net->first;
	}
	net->stopping = net->stop;
	pthread_mutex_unlock(&net->lock);
}

/* The connection is gone, and with it everything under way. */
static void fail_all(struct net *net) {
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

static int64_t now_ms(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A connection that says nothing for too long while we wait counts as lost. */
static void rest(struct net *net, int64_t progress) {
	struct pollfd fds[2] = {{.fd = net->wake, .events = POLLIN}, {.fd = labtls_fd(net->tls), .events = POLLIN}};
	if (net->write_blocked || net->read_blocked_on_write)
		fds[1].events |= POLLOUT;
	if (net->broken)
		fds[1].fd = -1;
	int timeout = -1;
	if (net->busy && !net->broken) {
		int64_t left = progress + lab_config.read_ms - now_ms();
		timeout = left > 0 ? (int)left : 0;
	}
	int n = poll(fds, 2, timeout);
	if (n == 0 && timeout >= 0 && now_ms() - progress >= lab_config.read_ms) {
		lab_warn("the host did not answer within %d ms\n", lab_config.read_ms);
		net->broken = true;
	}
	uint64_t count;
	if (n > 0 && (fds[0].revents & POLLIN) && read(net->wake, &count, sizeof count) < 0 && errno != EAGAIN)
		net->broken = true;
}

static void *net_thread(void *arg) {
	struct net *net = arg;
	int64_t progress = now_ms();
	for (;;) {
		take_submitted(net);
		if (!net->busy)
			progress = now_ms();
		while (!net->broken) {
			bool sent = send_some(net);
			bool received = !net->broken && receive_some(net);
			if (!sent && !received)
				break;
			progress = now_ms();
		}
		if (net->broken)
			fail_all(net);
		if (net->stopping)
			return NULL;
		rest(net, progress);
	}
}

static void wake(struct net *net) {
	uint64_t one = 1;
	if (write(net->wake, &one, sizeof one) < 0 && errno != EAGAIN)
		lab_panic("eventfd: %s\n", strerror(errno));
}

static void net_submit(VixHandle *handle, struct lab_request *request) {
	struct net *net = handle->disk;
	pthread_mutex_lock(&net->lock);
	request->next = NULL;
	*net->last = request;
	net->last = &request->next;
	pthread_mutex_unlock(&net->lock);
	wake(net);
}

/* ---- open and close ---- */

static int adapter_number(const char *name) {
	return strcasecmp(name, "ide") == 0 ? 1 : strcasecmp(name, "busLogic") == 0 ? 2 : 3;
}

static VixError open_disk(VixHandle *handle, struct labtls *tls, const char *ticket) {
	char payload[512], answer[WIRE_TEXT_MAX], value[64];
	snprintf(payload, sizeof payload, "ticket=%s\n", ticket);
	VixError err = wire_exchange(tls, WIRE_OPEN, payload, answer);
	if (err != VIX_OK)
		return err;
	if (!lab_value(answer, "capacity", value, sizeof value))
		return VIX_HANDSHAKE;
	handle->capacity = strtoull(value, NULL, 10);
	if (lab_value(answer, "adapter", value, sizeof value))
		handle->adapter = adapter_number(value);
	if (lab_value(answer, "links", value, sizeof value))
		handle->links = atoi(value);
	lab_value(answer, "uuid", handle->uuid, sizeof handle->uuid);
	return VIX_OK;
}

static struct net *make_net(struct labtls *tls) {
	struct net *net = calloc(1, sizeof *net);
	if (!net)
		return NULL;
	net->tls = tls;
	net->window = lab_config.buffer_count;
	net->pieces = calloc(net->window, sizeof *net->pieces);
	net->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	net->last = &net->first;
	net->queue_last = &net->queue;
	pthread_mutex_init(&net->lock, NULL);
	if (net->pieces && net->wake >= 0 && lab_thread(&net->thread, net_thread, net) == 0)
		return net;
	if (net->wake >= 0)
		close(net->wake);
	free(net->pieces);
	free(net);
	return NULL;
}

static VixError net_open(VixHandle *handle, const char *path) {
	(void)path; /* a disk of its own is named by its spec */
	if ((uint64_t)lab_config.buffer_size * lab_config.buffer_count > SESSION_MAX) {
		lab_warn("NFC buffers of %u x %u bytes are too large\n", lab_config.buffer_count, lab_config.buffer_size);
		return VIX_FAIL;
	}
	VixConnection *connection = handle->connection;
	struct lab_ask ask = {.params = connection->params, .op = "open",
		.mode = lab_transport_name(connection->transport), .write = !handle->read_only};
	struct lab_ticket ticket;
	struct labtls *tls = NULL;
	VixError err = wire_connect(&ask, &tls, &ticket);
	if (err == VIX_OK)
		err = open_disk(handle, tls, ticket.ticket);
	if (err == VIX_OK && !(handle->disk = make_net(tls)))
		err = VIX_OUT_OF_MEMORY;
	if (err != VIX_OK)
		labtls_close(tls);
	return err;
}

static void net_close(VixHandle *handle) {
	struct net *net = handle->disk;
	pthread_mutex_lock(&net->lock);
	net->stop = true;
	pthread_mutex_unlock(&net->lock);
	wake(net);
	pthread_join(net->thread, NULL);
	char answer[WIRE_TEXT_MAX];
	if (!net->broken)
		wire_exchange(net->tls, WIRE_CLOSE, NULL, answer);
	labtls_close(net->tls);
	close(net->wake);
	pthread_mutex_destroy(&net->lock);
	free(net->pieces);
	free(net);
}

const struct lab_driver lab_net_driver = {
	.open = net_open, .submit = net_submit, .close = net_close};
