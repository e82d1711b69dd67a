/*
 * Handles and connections come from pools whose memory is never freed, so that a
 * call on a closed one is noticed. The real library would follow the pointer.
 */
#include <string.h>

#include "lab.h"

#define HANDLES 4096
#define REST 64 /* so many closed ones are kept before one is used again */

#define POOL(type) \
	static struct { \
		pthread_mutex_t lock; \
		struct { \
			type value; \
			atomic_bool live; \
		} slots[HANDLES]; \
		uint16_t resting[HANDLES]; \
		unsigned used, first, count; \
	} pool_##type = {.lock = PTHREAD_MUTEX_INITIALIZER}; \
\
	type *lab_new_##type(void) { \
		pthread_mutex_lock(&pool_##type.lock); \
		unsigned i = HANDLES; \
		if (pool_##type.used < HANDLES && pool_##type.count < REST) \
			i = pool_##type.used++; \
		else if (pool_##type.count > 0) { \
			i = pool_##type.resting[pool_##type.first++ % HANDLES]; \
			pool_##type.count--; \
		} \
		pthread_mutex_unlock(&pool_##type.lock); \
		if (i == HANDLES) \
			return NULL; \
		memset(&pool_##type.slots[i].value, 0, sizeof(type)); \
		atomic_store(&pool_##type.slots[i].live, true); \
		return &pool_##type.slots[i].value; \
	} \
\
	void lab_end_##type(type *value) { \
		unsigned i = (unsigned)(((char *)value - (char *)pool_##type.slots) / (ptrdiff_t)sizeof pool_##type.slots[0]); \
		atomic_store(&pool_##type.slots[i].live, false); \
		pthread_mutex_lock(&pool_##type.lock); \
		pool_##type.resting[(pool_##type.first + pool_##type.count++) % HANDLES] = (uint16_t)i; \
		pthread_mutex_unlock(&pool_##type.lock); \
	} \
\
	bool lab_live_##type(const type *value) { \
		uintptr_t at = (uintptr_t)value - (uintptr_t)pool_##type.slots; \
		size_t i = at / sizeof pool_##type.slots[0]; \
		return (uintptr_t)value >= (uintptr_t)pool_##type.slots && i < HANDLES && at % sizeof pool_##type.slots[0] == 0 && \
		       atomic_load(&pool_##type.slots[i].live); \
	} \
\
	unsigned lab_count_##type(void) { \
		unsigned live = 0; \
		pthread_mutex_lock(&pool_##type.lock); \
		for (unsigned i = 0; i < pool_##type.used; i++) \
			live += atomic_load(&pool_##type.slots[i].live); \
		pthread_mutex_unlock(&pool_##type.lock); \
		return live; \
	} \
	struct lab_pool_##type##_ends

POOL(VixHandle);
POOL(VixConnection);

void lab_needs(const void *pointer, const char *call, const char *what) {
	if (!pointer)
		lab_misuse(NULL, "null", "%s with NULL for %s", call, what);
}

void lab_needs_handle(const VixHandle *handle, const char *call) {
	lab_needs(handle, call, "the handle");
	if (!lab_live_VixHandle(handle))
		lab_misuse(NULL, "closed-handle", "%s on a handle that is not open", call);
}

void lab_needs_connection(const VixConnection *connection, const char *call) {
	lab_needs(connection, call, "the connection");
	if (!lab_live_VixConnection(connection))
		lab_misuse(NULL, "closed-connection", "%s on a connection that was ended", call);
}
