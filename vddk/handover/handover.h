/* What handing a read over to another thread, and being told of its end, costs on a
 * machine at the least: two threads, a mutex, two condition variables. A read that
 * fails ends the process. */
#ifndef IVD_HANDOVER_H
#define IVD_HANDOVER_H

#include <stddef.h>

struct desk;
struct desk *desk_new(int fd, size_t size, int buffers); /* NULL: no memory, no thread */
void desk_buffer(struct desk *desk, int i, void *buffer);
void desk_plain(struct desk *desk, int reads);
void desk_hand_over(struct desk *desk, int reads);
void desk_free(struct desk *desk);

#endif
