/*
 * A session over hotadd or san. Its requests take as long as hosts.json says, and the
 * bytes that it moves are counted in DIR/traffic, as the host does over the network.
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
/* Counts the bytes of a request, and returns when the time that it takes is over. One
 * call at a time. */
void lab_session_ends(struct lab_session *session, int64_t begun, enum lab_op op, size_t bytes);

/* "1m30s", "2ms", "150µs": nanoseconds, negative where it is none of these. */
int64_t lab_duration(const char *text);

#endif
