#include "base/buffer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BUFFER_SMALLEST 64

void buffer_init(struct buffer *buffer, size_t maximum)
{
    *buffer = (struct buffer){.maximum = maximum};
}

void buffer_free(struct buffer *buffer)
{
    if (buffer == NULL)
        return;
    free(buffer->data);
    buffer_init(buffer, buffer->maximum);
}

void buffer_clear(struct buffer *buffer)
{
    buffer->length = 0;
}

/* The first allocation is exact, since most messages come in one read; only what grows again is
 * doubled, which keeps the copying linear. */
static size_t buffer_next_capacity(const struct buffer *buffer, size_t needed)
{
    size_t capacity = needed < BUFFER_SMALLEST ? BUFFER_SMALLEST : needed;
    size_t doubled = buffer->capacity > SIZE_MAX / 2 ? SIZE_MAX : buffer->capacity * 2;

    if (doubled > capacity)
        capacity = doubled;
    return capacity > buffer->maximum ? buffer->maximum : capacity;
}

int buffer_reserve(struct buffer *buffer, size_t more)
{
    if (buffer->length > buffer->maximum || more > buffer->maximum - buffer->length)
        return -EMSGSIZE;

    size_t needed = buffer->length + more;
    if (needed <= buffer->capacity)
        return 0;

    size_t capacity = buffer_next_capacity(buffer, needed);
    char *data = realloc(buffer->data, capacity);
    if (data == NULL)
        return -ENOMEM;
    buffer->data = data;
    buffer->capacity = capacity;
    return 0;
}

int buffer_append(struct buffer *buffer, const void *data, size_t length)
{
    if (length == 0)
        return 0; /* memcpy() from NULL is undefined even for nothing */

    int result = buffer_reserve(buffer, length);
    if (result < 0)
        return result;
    memcpy(buffer->data + buffer->length, data, length);
    buffer->length += length;
    return 0;
}

int buffer_append_string(struct buffer *buffer, const char *text)
{
    return buffer_append(buffer, text, strlen(text));
}

int buffer_append_byte(struct buffer *buffer, char byte)
{
    return buffer_append(buffer, &byte, 1);
}

int buffer_append_format(struct buffer *buffer, const char *format, ...)
{
    char small[256];
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(small, sizeof small, format, arguments);
    va_end(arguments);
    if (length < 0)
        return -EINVAL;
    if ((size_t)length < sizeof small)
        return buffer_append(buffer, small, (size_t)length);

    /* vsnprintf() wants room for a NUL that is no part of the content and of the maximum. */
    char *large = malloc((size_t)length + 1);
    if (large == NULL)
        return -ENOMEM;
    va_start(arguments, format);
    vsnprintf(large, (size_t)length + 1, format, arguments);
    va_end(arguments);
    int result = buffer_append(buffer, large, (size_t)length);
    free(large);
    return result;
}

void buffer_consume(struct buffer *buffer, size_t length)
{
    if (length >= buffer->length) {
        buffer->length = 0;
        return;
    }
    memmove(buffer->data, buffer->data + length, buffer->length - length);
    buffer->length -= length;
}

char *buffer_take(struct buffer *buffer, size_t *ret_length)
{
    char *data = buffer->data;

    *ret_length = buffer->length;
    buffer_init(buffer, buffer->maximum);
    return data;
}
