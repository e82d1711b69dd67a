/* The Go runtime ends the process when a signal arrives for which somebody
 * installed a handler without SA_ONSTACK. */
#define _GNU_SOURCE
#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include "shim.h"

uint64_t ivd_repair_signals(void) {
	uint64_t repaired = 0;
	for (int number = 1; number <= 64; number++) {
		struct sigaction action;
		if (sigaction(number, NULL, &action) != 0 || (action.sa_flags & SA_ONSTACK))
			continue;
		if (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN)
			continue;
		action.sa_flags |= SA_ONSTACK;
		if (sigaction(number, &action, NULL) == 0)
			repaired |= 1ull << (number - 1);
	}
	return repaired;
}
