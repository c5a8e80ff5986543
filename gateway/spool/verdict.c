#include "spool/verdict.h"

#include <stdint.h>
#include <stdlib.h>

struct answer_bytes *answer_bytes_new(struct span data)
{
    if (data.length > SIZE_MAX - sizeof(struct answer_bytes))
        return NULL;
    struct answer_bytes *bytes = malloc(sizeof *bytes + data.length);
    if (bytes == NULL)
        return NULL;
    atomic_init(&bytes->references, 1);
    bytes->length = data.length;
    if (data.length > 0)
        memcpy(bytes->data, data.data, data.length);
    return bytes;
}

struct answer_bytes *answer_bytes_reference(struct answer_bytes *bytes)
{
    if (bytes != NULL)
        atomic_fetch_add_explicit(&bytes->references, 1, memory_order_relaxed);
    return bytes;
}

void answer_bytes_release(struct answer_bytes **bytes)
{
    if (bytes == NULL || *bytes == NULL)
        return;
    struct answer_bytes *mine = *bytes;
    *bytes = NULL;
    if (atomic_fetch_sub_explicit(&mine->references, 1, memory_order_acq_rel) == 1)
        free(mine);
}

const char *verdict_kind_text(enum verdict_kind kind)
{
    switch (kind) {
    case VERDICT_ACCEPTED:
        return "accepted";
    case VERDICT_REFUSED:
        return "refused";
    case VERDICT_RETRY:
        return "retry";
    case VERDICT_OPERATOR:
        return "operator";
    case VERDICT_UNKNOWN:
        return "unknown";
    }
    return "invalid"; /* a damaged row may hold any number */
}

void verdict_clear(struct verdict *verdict)
{
    if (verdict == NULL)
        return;
    answer_bytes_release(&verdict->answer);
    *verdict = (struct verdict){0};
}
