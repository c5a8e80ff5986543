#include "spool/message.h"

#include "base/hash.h"

#include <stdlib.h>

struct message *message_new(const char *peer, const char *listener, char *body, size_t length)
{
    struct message *message = calloc(1, sizeof *message);

    if (message == NULL)
        return NULL;
    message->peer = strdup(peer);
    message->listener = strdup(listener);
    if (message->peer == NULL || message->listener == NULL) {
        free(message->peer);
        free(message->listener);
        free(message);
        return NULL;
    }
    atomic_init(&message->references, 1);
    message->body = span_of(body, length);
    return message;
}

struct message *message_reference(struct message *message)
{
    atomic_fetch_add_explicit(&message->references, 1, memory_order_relaxed);
    return message;
}

void message_release(struct message **message)
{
    struct message *mine;

    if (message == NULL || *message == NULL)
        return;
    mine = *message;
    *message = NULL;
    /* acq_rel: what others read of the message has happened before it is freed. */
    if (atomic_fetch_sub_explicit(&mine->references, 1, memory_order_acq_rel) != 1)
        return;
    free((void *)(uintptr_t)mine->body.data);
    free(mine->peer);
    free(mine->listener);
    free(mine);
}

#define SECOND_START UINT64_C(7809847782465536322) /* another start, for 128 bits in all */

/* Names of listeners are the configuration's, nobody's to forge: a plain hash will do. */
void message_fold_listener(struct message *message)
{
    const uint64_t hashes[2] = {hash_text(HASH_START, message->listener),
                                hash_text(SECOND_START, message->listener)};
    uint8_t folded[sizeof hashes];

    memcpy(folded, hashes, sizeof folded);
    for (size_t i = 0; i < sizeof folded; i++)
        message->digest[MESSAGE_STABLE_ID_BYTES + i] ^= folded[i];
}
