/*
 * buffer: bytes that grow up to a stated maximum.
 *
 * Ownership: whoever holds the struct owns the memory; buffer_free() gives it back and leaves an
 * empty buffer of the same maximum. buffer_take() hands the memory to somebody else (free() it).
 * Threads: none of its own; one thread at a time.
 * Errors: -EMSGSIZE when the maximum would be passed (the content stays as it was), -ENOMEM.
 */
#ifndef MLLPGW_BASE_BUFFER_H
#define MLLPGW_BASE_BUFFER_H

#include "base/span.h"

#include <stdint.h>

struct buffer {
    char *data;
    size_t length;   /* bytes in use */
    size_t capacity; /* bytes allocated */
    size_t maximum;  /* bytes that length may never pass */
};

void buffer_init(struct buffer *buffer, size_t maximum);
void buffer_free(struct buffer *buffer);
/* Keeps the memory. */
void buffer_clear(struct buffer *buffer);

__attribute__((warn_unused_result)) int buffer_reserve(struct buffer *buffer, size_t more);
__attribute__((warn_unused_result)) int buffer_append(struct buffer *buffer, const void *data,
                                                      size_t length);
__attribute__((warn_unused_result)) int buffer_append_string(struct buffer *buffer,
                                                             const char *text);
__attribute__((warn_unused_result)) int buffer_append_byte(struct buffer *buffer, char byte);
__attribute__((warn_unused_result, format(printf, 2, 3))) int
buffer_append_format(struct buffer *buffer, const char *format, ...);

/* Removes bytes from the front (memmove: meant for short remainders). */
void buffer_consume(struct buffer *buffer, size_t length);

/* Hands over the memory (may be NULL when empty); the buffer is empty afterwards. */
char *buffer_take(struct buffer *buffer, size_t *ret_length);

static inline struct span buffer_span(const struct buffer *buffer)
{
    return span_of(buffer->data, buffer->length);
}

#endif
