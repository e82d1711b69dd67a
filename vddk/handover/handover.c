#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "handover.h"

struct desk {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t handed, ended;
	int full, stop; /* full: a read is the other thread's */

	int fd;
	size_t size;
	off_t at, span;
	void **buffers;
	int used, count;
};

static void read_next(struct desk *desk) {
	if (pread(desk->fd, desk->buffers[desk->used], desk->size, desk->at) != (ssize_t)desk->size)
		abort();
	desk->used = (desk->used + 1) % desk->count;
	desk->at = (desk->at + (off_t)desk->size) % desk->span;
}

static void *other(void *arg) {
	struct desk *desk = arg;
	pthread_mutex_lock(&desk->lock);
	for (;;) {
		while (!desk->full && !desk->stop)
			pthread_cond_wait(&desk->handed, &desk->lock);
		if (desk->stop)
			break;
		pthread_mutex_unlock(&desk->lock);
		read_next(desk);
		pthread_mutex_lock(&desk->lock);
		desk->full = 0;
		pthread_mutex_unlock(&desk->lock);
		pthread_cond_signal(&desk->ended);
		pthread_mutex_lock(&desk->lock);
	}
	pthread_mutex_unlock(&desk->lock);
	return NULL;
}

struct desk *desk_new(int fd, size_t size, int buffers) {
	struct desk *desk = calloc(1, sizeof *desk);
	if (!desk)
		return NULL;
	desk->fd = fd;
	desk->size = size;
	desk->count = buffers;
	desk->span = lseek(fd, 0, SEEK_END);
	desk->buffers = calloc((size_t)buffers, sizeof *desk->buffers);
	pthread_mutex_init(&desk->lock, NULL);
	pthread_cond_init(&desk->handed, NULL);
	pthread_cond_init(&desk->ended, NULL);
	if (!desk->buffers || pthread_create(&desk->thread, NULL, other, desk) != 0) {
		free(desk->buffers);
		free(desk);
		return NULL;
	}
	return desk;
}

void desk_buffer(struct desk *desk, int i, void *buffer) {
	desk->buffers[i] = buffer;
}

void desk_plain(struct desk *desk, int reads) {
	for (int i = 0; i < reads; i++)
		read_next(desk);
}

void desk_hand_over(struct desk *desk, int reads) {
	for (int i = 0; i < reads; i++) {
		pthread_mutex_lock(&desk->lock);
		desk->full = 1;
		pthread_mutex_unlock(&desk->lock);
		pthread_cond_signal(&desk->handed);
		pthread_mutex_lock(&desk->lock);
		while (desk->full)
			pthread_cond_wait(&desk->ended, &desk->lock);
		pthread_mutex_unlock(&desk->lock);
	}
}

void desk_free(struct desk *desk) {
	pthread_mutex_lock(&desk->lock);
	desk->stop = 1;
	pthread_mutex_unlock(&desk->lock);
	pthread_cond_signal(&desk->handed);
	pthread_join(desk->thread, NULL);
	free(desk->buffers);
	free(desk);
}
