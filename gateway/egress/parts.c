#include "egress/parts.h"
#include "base/digest.h"
#include "hl7/batch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int parts_count(struct span message, size_t index, void *context)
{
    (void)message;
    *(size_t *)context = index + 1;
    return 0;
}

static int parts_take(struct span message, size_t index, void *context)
{
    ((struct parts *)context)->items[index] = message;
    return 0;
}

int parts_make(const struct message *message, enum config_batch batch, struct parts *ret_parts)
{
    size_t count = 0;
    struct parts parts;

    if (message->batch && batch == CONFIG_BATCH_SPLIT)
        (void)batch_each(message->body, parts_count, &count);
    parts.split = count > 0;
    parts.count = count > 0 ? count : 1;
    parts.items = calloc(parts.count, sizeof(*parts.items));
    if (parts.items == NULL)
        return -ENOMEM;
    if (parts.split)
        (void)batch_each(message->body, parts_take, &parts);
    else
        parts.items[0] = message->body;
    *ret_parts = parts;
    return 0;
}

void parts_free(struct parts *parts)
{
    free(parts->items);
    *parts = (struct parts){0};
}

void parts_stable_id(const struct parts *parts, const struct message *message, size_t index,
                     char ret_id[PARTS_ID_BYTES])
{
    const size_t hex = (size_t)2 * MESSAGE_STABLE_ID_BYTES;

    digest_to_hex(message->digest, MESSAGE_STABLE_ID_BYTES, ret_id);
    if (parts->split)
        snprintf(ret_id + hex, PARTS_ID_BYTES - hex, "-%zu", index + 1);
}
