/* What is compared, and ends the check where it is not as it should be. */
#ifndef IVD_LAB_WANT_H
#define IVD_LAB_WANT_H

#include <stdio.h>
#include <stdlib.h>

#define WANT(got, want) \
	do { \
		unsigned long long g = (unsigned long long)(got), w = (unsigned long long)(want); \
		if (g != w) { \
			fprintf(stderr, "%s:%d: %s is %llu, want %llu\n", __FILE__, __LINE__, #got, g, w); \
			exit(1); \
		} \
	} while (0)

#endif
