/*
 * What a keeper hands to the program that takes its place: docs/adr/0012-re-exec.md.
 *
 *   u64 magic, u16 version, then records: u16 kind, u32 length, body; the last one says that it is the last
 *
 * Numbers of descriptors stand for themselves: they stay the same over execve(2). A field may be added at the end of a record without a new
 * version: who does not know it passes over it, and who does gives it a value where it is missing. Anything else is a new version, and a
 * version that is not one's own is refused, as is a kind that is not known: it may own something.
 */
#ifndef HOLDFAST_STATE_H
#define HOLDFAST_STATE_H

#include <stdint.h>

#include "frame.h"

struct keeper;

#ifndef STATE_VERSION
#define STATE_VERSION 1
#endif

#define STATE_MAGIC UINT64_C(0x74736166646c6f68)

enum { STATE_HEADER = 10, STATE_MAX = 64 * 1024 * 1024 };

/* Writes the whole state as a sealed file of its own (memfd_create(2)), close-on-exec, the caller's. 0 or errno. */
int state_save(struct keeper *keeper, int *file);

/*
 * Fills a keeper that is still empty with what `state` says. Nothing is watched and no descriptor is looked at: that is for whoever takes over.
 * 0 or errno: EPROTONOSUPPORT (another version, or the supervisor speaks another one of the protocol), EBADMSG (malformed), ENOMEM (more than fits).
 */
int state_load(struct keeper *keeper, struct bytes state);

/* The bytes of such a file. 0 or errno. */
int state_map(int file, struct bytes *state);
void state_unmap(struct bytes state);

#endif
