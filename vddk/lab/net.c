/* See net.h: the thread, and what opens and closes a disk. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "net.h"

#define SESSION_MAX (16u << 20) /* bytes of all buffers of a session */

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

static int64_t now_ms(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A connection counts as lost when no answer comes for too long. */
static void rest(struct net *net, int64_t progress) {
	struct pollfd fds[2] = {{.fd = net->wake, .events = POLLIN}, {.fd = lab_tls->fd(net->tls), .events = POLLIN}};
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
			bool sent = net_send(net);
			bool received = !net->broken && net_receive(net);
			if (!sent && !received)
				break;
			progress = now_ms();
		}
		if (net->broken)
			net_fail_all(net);
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

static int adapter_number(const char *name) {
	return strcasecmp(name, "ide") == 0 ? 1 : strcasecmp(name, "busLogic") == 0 ? 2 : 3;
}

static VixError open_disk(VixHandle *handle, struct labtls *tls, const char *ticket) {
	char payload[512], answer[WIRE_TEXT_MAX], value[64];
	/* What the buffers of the session take of the host's memory is the host's to know. */
	snprintf(payload, sizeof payload, "ticket=%s\nbuffers=%u\n", ticket, lab_config.buffer_size * lab_config.buffer_count);
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

VixError net_check_buffers(void) {
	if ((uint64_t)lab_config.buffer_size * lab_config.buffer_count <= SESSION_MAX)
		return VIX_OK;
	lab_warn("NFC buffers of %u x %u bytes are too large\n", lab_config.buffer_count, lab_config.buffer_size);
	return VIX_FAIL;
}

static VixError net_open(VixHandle *handle, const char *path) {
	(void)path; /* the ticket knows which disk it names */
	struct labtls *tls = NULL;
	VixError err = net_check_buffers();
	if (err == VIX_OK)
		err = wire_connect(handle->ticket, &tls);
	if (err == VIX_OK)
		err = open_disk(handle, tls, handle->ticket->ticket);
	if (err == VIX_OK && !(handle->disk = make_net(tls)))
		err = VIX_OUT_OF_MEMORY;
	if (err != VIX_OK && tls)
		lab_tls->close(tls);
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
	lab_tls->close(net->tls);
	close(net->wake);
	pthread_mutex_destroy(&net->lock);
	free(net->in_payload); /* of an answer that was cut off */
	free(net->pieces);
	free(net);
}

const struct lab_driver lab_net_driver = {
	.open = net_open, .submit = net_submit, .close = net_close};
