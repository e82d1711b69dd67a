/*
 * The script of faults, DIR/faults.json: what goes wrong at the n-th call of a
 * kind. Each process counts for itself; where a rule says "shared", all processes
 * count together in DIR/faults.count/. The file is checked at each call; when it has
 * changed, it is read again and counting starts anew.
 */
#ifndef IVD_LAB_FAULTS_H
#define IVD_LAB_FAULTS_H

#include "lab.h"

struct lab_call {
	const char *name, *dir;  /* dir NULL: the folder that was seen last */
	const char *disk, *mode; /* NULL: none is known */
	bool own;                /* only rules that name the mode: the others have counted the call already */
};

enum lab_fate { LAB_FATE_NONE, LAB_FATE_CODE, LAB_FATE_DELAY, LAB_FATE_HANG, LAB_FATE_PANIC, LAB_FATE_ABORT };

struct lab_plan {
	enum lab_fate fate;
	VixError code;
	int64_t delay_ns;
};

/* Counts the call and returns what is to happen to it. */
struct lab_plan lab_plan(const struct lab_call *call);
/* Carries a plan out on this thread: returns its code, or VIX_OK after a delay; does
 * not return when the plan is to hang or to end the process. */
VixError lab_suffer(struct lab_plan plan, const char *call);
VixError lab_fault(const struct lab_call *call);
VixError lab_fault_on(const VixHandle *handle, const char *call);
VixError lab_fault_for(const VixConnectParams *params, const char *call);

#endif
