#include "vpn/octets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES 256

void octets_init(struct octets *octets, size_t maximum)
{
    *octets = (struct octets){.maximum = maximum};
}

void octets_free(struct octets *octets)
{
    octets_clear(octets);
    free(octets->data);
    octets_init(octets, octets->maximum);
}

void octets_clear(struct octets *octets)
{
    if (octets->length > 0)
        explicit_bzero(octets->data, octets->length);
    octets->length = 0;
}

/* Not realloc(): it would leave the old bytes in freed memory. */
static int grow(struct octets *octets, size_t wanted)
{
    size_t capacity = octets->capacity > 0 ? octets->capacity : FIRST_BYTES;
    uint8_t *data;

    while (capacity < wanted)
        capacity *= 2;
    if (capacity > octets->maximum)
        capacity = octets->maximum;
    data = malloc(capacity);
    if (data == NULL)
        return -ENOMEM;
    if (octets->length > 0) {
        memcpy(data, octets->data, octets->length);
        explicit_bzero(octets->data, octets->length);
    }
    free(octets->data);
    octets->data = data;
    octets->capacity = capacity;
    return 0;
}

int octets_append(struct octets *octets, const void *data, size_t length)
{
    if (length > octets->maximum - octets->length)
        return -EMSGSIZE;
    if (length == 0)
        return 0;
    if (length > octets->capacity - octets->length) {
        int error = grow(octets, octets->length + length);
        if (error != 0)
            return error;
    }
    memcpy(octets->data + octets->length, data, length);
    octets->length += length;
    return 0;
}

void octets_consume(struct octets *octets, size_t length)
{
    if (length == 0)
        return;
    octets->length -= length;
    memmove(octets->data, octets->data + length, octets->length);
    explicit_bzero(octets->data + octets->length, length);
}
