/*
 * file_stamp: what tells that a file is another one than before, without reading it: device, inode,
 * size and time of change. A file that was put in another's place shows as well as one that was
 * written to. Not a digest. Threads: any.
 */
#ifndef MLLPGW_BASE_FILE_STAMP_H
#define MLLPGW_BASE_FILE_STAMP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* Two looks at one path. */
bool file_stamp_differs(const struct stat *a, const struct stat *b);

/* Goes on from hash (0, or what an earlier call returned) with the file of this path. NULL and a file
 * that can't be looked at count as "not there". */
uint64_t file_stamp_mix(uint64_t hash, const char *path);

#endif
