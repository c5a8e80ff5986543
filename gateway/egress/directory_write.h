/*
 * directory_write: files that are there whole or not at all.
 *
 * A temporary file in the same directory, fsync, rename, fsync of the directory; the fsyncs of
 * several files stand together, and the directory's is shared. A file that is there already with
 * the same length is left alone: its name is a digest of its content.
 * Blocks for as long as the disk likes. Threads: the offload thread; touches nothing else.
 */
#ifndef MLLPGW_EGRESS_DIRECTORY_WRITE_H
#define MLLPGW_EGRESS_DIRECTORY_WRITE_H

#include "base/span.h"

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#define DIRECTORY_NAME_BYTES 224

struct directory_file {
    struct span content;
    char name[DIRECTORY_NAME_BYTES];
    const atomic_bool *cancelled; /* true: must not appear any more */
    size_t group;                 /* files of one group appear in order; a failure ends the group */
    /* Filled in: */
    int error; /* 0: on disk under its name; else -errno (-ECANCELED: see cancelled, group) */
    const char *step; /* what failed: "write", a literal */
    int fd;           /* private */
    bool temporary;   /* private: the temporary file exists */
};

/* mode: of new files, less the umask. */
void directory_write(const char *path, mode_t mode, struct directory_file *files, size_t count);

/* Puts the entry of a directory that has just been made on disk: a power cut would take it away with
 * all that was accepted in it. */
void directory_sync_parent(const char *path);

/* Removes temporary files that a crash left an hour ago or earlier. */
void directory_sweep(const char *path);

#endif
