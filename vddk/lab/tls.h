/*
 * TLS for the laboratory's library: its private dependency libvixlabtls.so.1, as
 * the real library brings libraries of its own. OpenSSL is inside, its symbols
 * hidden. A certificate is checked by its SHA-1 thumbprint only: every caller must
 * compare it before it sends a secret.
 */
#ifndef IVD_LAB_TLS_H
#define IVD_LAB_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct labtls;

enum labtls_error {
	LABTLS_RESOLVE = 1, /* the name is unknown */
	LABTLS_REFUSED,     /* nobody listens, or nobody answers */
	LABTLS_HANDSHAKE,   /* somebody answers, who does not speak TLS */
};

/* What labtls_read and labtls_write return instead of a number of bytes. */
enum { LABTLS_CLOSED = 0, LABTLS_AGAIN = -1, LABTLS_BROKEN = -2 };

/* All that the library exports, as LABTLS_API. Sockets do not block. */
struct labtls_api {
	/* NULL with *error and text set. */
	struct labtls *(*connect)(const char *host, uint16_t port, int timeout_ms, enum labtls_error *error, char *text,
				  size_t size);
	const char *(*thumbprint)(const struct labtls *tls); /* "AA:BB:…" */
	ssize_t (*read)(struct labtls *tls, void *buffer, size_t size);
	ssize_t (*write)(struct labtls *tls, const void *buffer, size_t size);
	int (*fd)(const struct labtls *tls);
	bool (*wants_write)(const struct labtls *tls); /* after LABTLS_AGAIN: poll for writing */
	/* Writes all of it; false when time is up or the peer is gone. */
	bool (*read_all)(struct labtls *tls, void *buffer, size_t size, int timeout_ms);
	bool (*write_all)(struct labtls *tls, const void *buffer, size_t size, int timeout_ms);
	/* Reads until the peer closes, at most size; negative when the connection breaks. */
	ssize_t (*read_to_end)(struct labtls *tls, void *buffer, size_t size, int timeout_ms);
	void (*close)(struct labtls *tls);
};

#define LABTLS_FILE "libvixlabtls.so.1"
#define LABTLS_API "labtls_api_1"
extern const struct labtls_api labtls_api_1;

#endif
