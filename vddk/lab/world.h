/*
 * The laboratory's folder, where it is on this machine: what the library reads
 * there (hosts.json, faults.json), and what it writes (report.jsonl, hotadd/,
 * san/). A ticket's reply names the folder, or IVD_LAB_DIR in the environment.
 * Without a folder the functions here do nothing.
 */
#ifndef IVD_LAB_WORLD_H
#define IVD_LAB_WORLD_H

#include "json.h"
#include "lab.h"

/* Sets the folder, writes the entries that were kept for its report, and returns a
 * copy of the path that is never freed; NULL for an empty path. */
const char *lab_world(const char *path);
/* The folder that was set last, or NULL. */
const char *lab_world_last(void);
/* A file of the folder as a text to be freed; NULL where it is not there. */
char *lab_world_read(const char *dir, const char *name);
/* hosts.json's entry of this machine in *proxy, NULL without one. The tree is to be freed. */
struct json *lab_world_proxy(const char *dir, const struct json **proxy);
/* Whether hosts.json has a setting that is true. */
bool lab_world_is(const char *dir, const char *setting);
/* Which of the virtual machines this machine is; empty: unknown. */
const char *lab_world_self(void);

/* hotadd.c: a disk of a ticket as a device of this machine. *file names the mark,
 * which lab_detach takes away. */
struct lab_ticket;
struct lab_want {
	enum lab_transport transport;
	const char *disk, *snapshot;
	bool write;
	const struct lab_ticket *ticket;
};
VixError lab_attach(const char *dir, const struct lab_want *want, char **file);
void lab_detach(char *file);
/* What dead processes have left with the same tmpDirectory. */
void lab_release_dead(const char *dir, uint32_t *released, uint32_t *remaining);

#endif
