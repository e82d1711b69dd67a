/*
 * What handing a read over to another thread, and being told of its end, costs on
 * a machine at the least: two threads, a mutex, two condition variables.
 *     handover FILE SIZE ROUNDS READS
 * In turn reads READS times SIZE bytes by itself and by the other thread, ROUNDS
 * times, and prints what the latter took longer: CPU time of both threads, user
 * and system, in µs for each read, the middle of all rounds.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static struct {
	pthread_mutex_t lock;
	pthread_cond_t handed, ended;
	int full, stop; /* full: a read is the other thread's */
} desk = {.lock = PTHREAD_MUTEX_INITIALIZER, .handed = PTHREAD_COND_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};

static int fd;
static size_t size;
static off_t at, span;
static char *buffer;

static void read_next(void) {
	if (pread(fd, buffer, size, at) != (ssize_t)size)
		abort();
	at = (at + (off_t)size) % span;
}

static void *other(void *arg) {
	pthread_mutex_lock(&desk.lock);
	for (;;) {
		while (!desk.full && !desk.stop)
			pthread_cond_wait(&desk.handed, &desk.lock);
		if (desk.stop)
			break;
		pthread_mutex_unlock(&desk.lock);
		read_next();
		pthread_mutex_lock(&desk.lock);
		desk.full = 0;
		pthread_mutex_unlock(&desk.lock);
		pthread_cond_signal(&desk.ended);
		pthread_mutex_lock(&desk.lock);
	}
	pthread_mutex_unlock(&desk.lock);
	return arg;
}

static void hand_over(void) {
	pthread_mutex_lock(&desk.lock);
	desk.full = 1;
	pthread_mutex_unlock(&desk.lock);
	pthread_cond_signal(&desk.handed);
	pthread_mutex_lock(&desk.lock);
	while (desk.full)
		pthread_cond_wait(&desk.ended, &desk.lock);
	pthread_mutex_unlock(&desk.lock);
}

static double cost(void (*once)(void), int reads) {
	struct timespec from, to;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	for (int i = 0; i < reads; i++)
		once();
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	return ((double)(to.tv_sec - from.tv_sec) * 1e6 + (double)(to.tv_nsec - from.tv_nsec) / 1e3) / reads;
}

static int by_value(const void *a, const void *b) {
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

int main(int argc, char **argv) {
	if (argc != 5)
		return 2;
	fd = open(argv[1], O_RDONLY);
	size = strtoul(argv[2], NULL, 10);
	int rounds = atoi(argv[3]), reads = atoi(argv[4]);
	span = lseek(fd, 0, SEEK_END);
	double *more = calloc((size_t)rounds, sizeof *more);
	pthread_t thread;
	if (rounds < 1 || reads < 1 || span < (off_t)size || !more || posix_memalign((void **)&buffer, 4096, size) != 0 ||
	    pthread_create(&thread, NULL, other, NULL) != 0)
		return 1;
	for (int i = 0; i < rounds; i++) {
		double plain = cost(read_next, reads);
		more[i] = cost(hand_over, reads) - plain;
	}
	pthread_mutex_lock(&desk.lock);
	desk.stop = 1;
	pthread_mutex_unlock(&desk.lock);
	pthread_cond_signal(&desk.handed);
	pthread_join(thread, NULL);
	qsort(more, (size_t)rounds, sizeof *more, by_value);
	printf("%.3f\n", more[rounds / 2]);
	return 0;
}
