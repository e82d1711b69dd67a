/*
 * A session over hotadd or san, as the host counts one over the network: how long
 * its requests take, as hosts.json says, and what it has moved, in DIR/traffic.
 */
#ifndef IVD_LAB_SESSION_H
#define IVD_LAB_SESSION_H

#include "lab.h"

struct lab_session;

/* NULL without memory. dir is lasting. */
struct lab_session *lab_session_open(const char *dir, const char *disk, enum lab_transport transport);
void lab_session_close(struct lab_session *session);
/* When a request began, for lab_session_ends. */
int64_t lab_session_begins(void);
/* Counts what a request has moved, and returns when its time is over. One call at
 * a time. */
void lab_session_ends(struct lab_session *session, int64_t begun, enum lab_op op, size_t bytes);

/* "1m30s", "2ms", "150µs": nanoseconds, negative where it is none of these. */
int64_t lab_duration(const char *text);

#endif
