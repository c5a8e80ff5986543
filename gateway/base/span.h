/*
 * span: a view of bytes that somebody else owns.
 *
 * HL7 content is bytes, not C strings: it may hold NUL, 8-bit characters and anything else, so no
 * function here looks for a terminator. A span never outlives the buffer that it points into.
 * Threads: plain data.
 */
#ifndef MLLPGW_BASE_SPAN_H
#define MLLPGW_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct span {
    const char *data; /* may be NULL when length is 0 */
    size_t length;    /* bytes */
};

static inline struct span span_of(const void *data, size_t length)
{
    return (struct span){(const char *)data, length};
}

static inline struct span span_of_string(const char *text)
{
    return (struct span){text, text == NULL ? 0 : strlen(text)};
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

static inline bool span_equal_string(struct span a, const char *text)
{
    return span_equal(a, span_of_string(text));
}

#endif
