#include "admin/control_entry.h"

#include "base/base64.h"
#include "base/digest.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ENTRY_TEXT_BYTES                                                                           \
    ((size_t)64) /* of what came in a message (semantics, "No content anywhere") */

static const char *const entry_states[] = {"queued", "kept", "dead"}; /* enum spool_state */

int control_entry_state(const char *text, enum spool_state *ret_state)
{
    for (size_t i = 0; i < sizeof entry_states / sizeof *entry_states; i++) {
        if (strcmp(entry_states[i], text) == 0) {
            *ret_state = (enum spool_state)i;
            return 0;
        }
    }
    return -EINVAL;
}

/* A sender's bytes: escaped and cut, since JSON wants UTF-8 and a terminal no control characters. */
static json_t *entry_text(const char *bytes, size_t length)
{
    struct buffer text;
    size_t cut = length < ENTRY_TEXT_BYTES ? length : ENTRY_TEXT_BYTES;

    buffer_init(&text, ENTRY_TEXT_BYTES * 4);
    json_t *value = text_escape(&text, span_of(bytes, cut), false) < 0
                        ? NULL
                        : json_stringn(text.length == 0 ? "" : text.data, text.length);
    buffer_free(&text);
    return value;
}

static json_t *entry_string(const char *text)
{
    return text == NULL ? json_string("") : entry_text(text, strlen(text));
}

static json_t *entry_last(const struct spool_row *row)
{
    /* The reason is the gateway's own words. */
    return json_pack("{s:s s:i s:s}", "verdict",
                     row->attempts == 0 ? "" : verdict_kind_text(row->last_kind), "status",
                     row->last_status, "reason", row->last_reason);
}

json_t *control_entry_json(const struct spool_row *row)
{
    char stable_id[MESSAGE_STABLE_ID_BYTES * 2 + 1];

    digest_to_hex(row->digest, MESSAGE_STABLE_ID_BYTES, stable_id);
    return json_pack(
        "{s:I s:s s:s s:s s:s s:o s:o s:s s:b s:b s:i s:i s:I s:I s:I s:I s:s s:o}", "id",
        (json_int_t)row->id, "route", row->route, "lane", row->lane, "peer", row->peer, "listener",
        row->listener, "control_id", entry_text(row->control_id, row->control_id_length),
        "message_type", entry_string(row->message_type), "state", entry_states[row->state], "batch",
        (int)row->batch, "in_flight", (int)row->leased, "attempts", row->attempts,
        "counted_attempts", row->counted_attempts, "received_at_ms", (json_int_t)row->received_ms,
        "due_at_ms", (json_int_t)row->due_ms, "settled_at_ms", (json_int_t)row->settled_ms, "bytes",
        (json_int_t)row->bytes, "stable_id", stable_id, "last", entry_last(row));
}

json_t *control_entry_base64(struct span bytes)
{
    size_t length = base64_length(bytes.length);
    char *text = bytes.length == 0 ? NULL : malloc(length);

    if (text == NULL)
        return json_null();
    base64_encode(bytes, text);
    json_t *value = json_stringn(text, length);
    explicit_bzero(text, length); /* content */
    free(text);
    return value == NULL ? json_null() : value;
}

const char *control_entry_error_code(int error)
{
    switch (error) {
    case -ENOENT:
        return "not-found";
    case -EBUSY:
        return "busy";
    case -EXDEV:
        return "out-of-order";
    case -EINVAL:
        return "state";
    default:
        return "failed";
    }
}

const char *control_entry_error_words(int error)
{
    switch (error) {
    case -ENOENT:
        return "there is no such entry, or it is not in a state for this";
    case -EBUSY:
        return "it is being delivered just now: try again";
    case -EXDEV:
        return "its lane went on: a replay would put it at the lane's end, behind later messages; "
               "ask for that with out_of_order";
    case -EINVAL:
        return "the entry is not in a state for this";
    case -ENOSPC:
        return "the spool is full";
    case -ENOMEM:
        return "out of memory";
    default:
        return "the spool could not do it: see the gateway's log";
    }
}
