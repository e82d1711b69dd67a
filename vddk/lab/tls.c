/* See tls.h. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tls.h"

struct labtls {
	int fd;
	SSL *ssl;
	bool wants_write;
	char thumbprint[20 * 3];
};

static SSL_CTX *context;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_context(void) {
	/* Neither the program's exit handlers nor the machine's openssl.cnf concern a private copy. */
	OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT | OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	context = SSL_CTX_new(TLS_client_method());
	if (!context)
		return;
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL); /* the thumbprint is compared instead */
	SSL_CTX_set_read_ahead(context, 1);
	SSL_CTX_set_default_read_buffer_len(context, 128 * 1024);
}

static int64_t now_ms(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool wait_for(int fd, short events, int64_t deadline) {
	for (;;) {
		int64_t left = deadline - now_ms();
		if (left <= 0)
			return false;
		struct pollfd p = {.fd = fd, .events = events};
		int n = poll(&p, 1, left > 1000000 ? 1000000 : (int)left);
		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
	}
}

static int dial_one(const struct addrinfo *address, int64_t deadline) {
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, address->ai_protocol);
	if (fd < 0)
		return -1;
	int failed = connect(fd, address->ai_addr, address->ai_addrlen) == 0 ? 0 : errno;
	if (failed == EINPROGRESS) {
		socklen_t size = sizeof failed;
		if (!wait_for(fd, POLLOUT, deadline))
			failed = ETIMEDOUT;
		else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size) != 0)
			failed = errno;
	}
	if (failed) {
		close(fd);
		errno = failed;
		return -1;
	}
	int on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

static int dial(const char *host, uint16_t port, int64_t deadline, enum labtls_error *error, char *text, size_t size) {
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	char service[8];
	snprintf(service, sizeof service, "%u", port);
	int unknown = getaddrinfo(host, service, &hints, &list);
	if (unknown) {
		*error = LABTLS_RESOLVE;
		snprintf(text, size, "%s: %s", host, gai_strerror(unknown));
		return -1;
	}
	int fd = -1;
	for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next)
		fd = dial_one(a, deadline);
	if (fd < 0) {
		*error = LABTLS_REFUSED;
		snprintf(text, size, "%s port %u: %s", host, port, strerror(errno));
	}
	freeaddrinfo(list);
	return fd;
}

static bool take_thumbprint(struct labtls *tls) {
	X509 *certificate = SSL_get1_peer_certificate(tls->ssl);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	bool good = certificate && X509_digest(certificate, EVP_sha1(), digest, &n) == 1 && n == 20;
	X509_free(certificate);
	for (unsigned i = 0; good && i < n; i++)
		snprintf(tls->thumbprint + 3 * i, 4, i + 1 < n ? "%02X:" : "%02X", digest[i]);
	return good;
}

/* The result of an SSL call as a LABTLS_ value. */
static ssize_t outcome(struct labtls *tls, int n) {
	if (n > 0)
		return n;
	switch (SSL_get_error(tls->ssl, n)) {
	case SSL_ERROR_WANT_READ:
		tls->wants_write = false;
		return LABTLS_AGAIN;
	case SSL_ERROR_WANT_WRITE:
		tls->wants_write = true;
		return LABTLS_AGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return LABTLS_CLOSED;
	}
	ERR_clear_error();
	return LABTLS_BROKEN;
}

static bool handshake(struct labtls *tls, const char *host, int64_t deadline) {
	SSL_set_fd(tls->ssl, tls->fd);
	SSL_set_tlsext_host_name(tls->ssl, host);
	for (;;) {
		ssize_t n = outcome(tls, SSL_connect(tls->ssl));
		if (n > 0)
			return take_thumbprint(tls);
		if (n != LABTLS_AGAIN || !wait_for(tls->fd, tls->wants_write ? POLLOUT : POLLIN, deadline))
			return false;
	}
}

static void tls_close(struct labtls *tls) {
	if (!tls)
		return;
	if (tls->fd > 0 && tls->thumbprint[0])
		SSL_shutdown(tls->ssl);
	SSL_free(tls->ssl);
	ERR_clear_error();
	if (tls->fd > 0)
		close(tls->fd);
	free(tls);
}

static struct labtls *tls_connect(const char *host, uint16_t port, int timeout_ms, enum labtls_error *error, char *text,
				  size_t size) {
	pthread_once(&once, make_context);
	int64_t deadline = now_ms() + timeout_ms;
	struct labtls *tls = calloc(1, sizeof *tls);
	*error = LABTLS_HANDSHAKE;
	snprintf(text, size, "%s port %u: no TLS", host, port);
	if (!tls || !context || !(tls->ssl = SSL_new(context))) {
		free(tls);
		return NULL;
	}
	tls->fd = dial(host, port, deadline, error, text, size);
	if (tls->fd < 0 || !handshake(tls, host, deadline)) {
		tls_close(tls);
		return NULL;
	}
	return tls;
}

static const char *tls_thumbprint(const struct labtls *tls) {
	return tls->thumbprint;
}

static ssize_t tls_read(struct labtls *tls, void *buffer, size_t size) {
	return outcome(tls, SSL_read(tls->ssl, buffer, size > INT32_MAX ? INT32_MAX : (int)size));
}

static ssize_t tls_write(struct labtls *tls, const void *buffer, size_t size) {
	return outcome(tls, SSL_write(tls->ssl, buffer, size > INT32_MAX ? INT32_MAX : (int)size));
}

static int tls_fd(const struct labtls *tls) {
	return tls->fd;
}

static bool tls_wants_write(const struct labtls *tls) {
	return tls->wants_write;
}

static ssize_t tls_read_to_end(struct labtls *tls, void *buffer, size_t size, int timeout_ms) {
	int64_t deadline = now_ms() + timeout_ms;
	size_t have = 0;
	while (have < size) {
		ssize_t n = tls_read(tls, (char *)buffer + have, size - have);
		if (n > 0)
			have += (size_t)n;
		else if (n == LABTLS_CLOSED)
			return (ssize_t)have;
		else if (n != LABTLS_AGAIN || !wait_for(tls->fd, tls->wants_write ? POLLOUT : POLLIN, deadline))
			return have > 0 ? (ssize_t)have : n; /* some servers end without saying so */
	}
	return (ssize_t)have;
}

static bool tls_read_all(struct labtls *tls, void *buffer, size_t size, int timeout_ms) {
	return tls_read_to_end(tls, buffer, size, timeout_ms) == (ssize_t)size;
}

static bool tls_write_all(struct labtls *tls, const void *buffer, size_t size, int timeout_ms) {
	int64_t deadline = now_ms() + timeout_ms;
	const char *at = buffer;
	while (size > 0) {
		ssize_t n = tls_write(tls, at, size);
		if (n > 0) {
			at += n;
			size -= (size_t)n;
		} else if (n != LABTLS_AGAIN || !wait_for(tls->fd, tls->wants_write ? POLLOUT : POLLIN, deadline)) {
			return false;
		}
	}
	return true;
}

__attribute__((visibility("default"))) const struct labtls_api labtls_api_1 = {
	.connect = tls_connect,
	.thumbprint = tls_thumbprint,
	.read = tls_read,
	.write = tls_write,
	.fd = tls_fd,
	.wants_write = tls_wants_write,
	.read_all = tls_read_all,
	.write_all = tls_write_all,
	.read_to_end = tls_read_to_end,
	.close = tls_close,
};
