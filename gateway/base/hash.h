/*
 * hash: FNV-1a with 64 bits, for tables and short names.
 *
 * Not a digest: whoever chooses the bytes can make two of them collide. A table whose keys a sender chooses starts from
 * a random number. Pure. Lanes' and listeners' names in a spool depend on these numbers: they never change.
 * Source: the FNV draft (Fowler, Noll, Vo; RFC 9923).
 */
#ifndef MLLPGW_BASE_HASH_H
#define MLLPGW_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_START UINT64_C(14695981039346656037)
#define HASH_PRIME UINT64_C(1099511628211)

/* Goes on from hash: HASH_START, or what an earlier call returned. */
static inline uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t length)
{
    const unsigned char *byte = bytes;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ byte[i]) * HASH_PRIME;
    return hash;
}

static inline uint64_t hash_text(uint64_t hash, const char *text)
{
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * HASH_PRIME;
    return hash;
}

#endif
