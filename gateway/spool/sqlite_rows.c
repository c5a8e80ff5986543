/*
 * Rows: messages (never changed), queue (the order of what is queued), outcomes (what attempts said;
 * only rows with a verdict have one).
 */
#include "spool/sqlite_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define SPANS ((size_t)3)
#define SPANS_BYTES (SPANS * 8)
/* In the last two ones' offsets, whose bits no body reaches, and in the last one's length, which no
 * header does: the seal covers spans, and not the column batch. Older builds wrote none of these bits, and
 * read a facility of that length as an empty one. */
#define SPANS_AT (SPANS_BYTES - 8)
#define SPANS_FLAGGED UINT8_C(0x80)
#define SPANS_BATCH UINT8_C(0x40)
#define SPANS_VERDICT_AT (SPANS_BYTES - 16)
#define SPANS_VERDICT UINT8_C(0x80) /* keep_verdict */
#define SPANS_FLAGS (UINT32_C(0xc0) << 24)
#define SPANS_SET_AT (SPANS_BYTES - 4) /* character_set, below SPANS_NORMALISE */
#define SPANS_NORMALISE UINT8_C(0x80)
#define SPANS_LENGTH (UINT32_C(0xff) << 24)

/* ---- where the header's fields are in the body ---- */

static void put_u32(uint8_t *out, size_t value)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> (24 - 8 * i));
}

static size_t get_u32(const uint8_t *in)
{
    return (size_t)in[0] << 24 | (size_t)in[1] << 16 | (size_t)in[2] << 8 | in[3];
}

/* A field that is not inside the body (there should be none) is found empty after a restart. */
static void spans_write(const struct message *message, uint8_t out[SPANS_BYTES])
{
    const struct span fields[SPANS] = {message->control_id, message->message_type,
                                       message->facility};
    uintptr_t body = (uintptr_t)message->body.data;

    memset(out, 0, SPANS_BYTES);
    for (size_t i = 0; i < SPANS; i++) {
        uintptr_t at = (uintptr_t)fields[i].data;
        if (fields[i].length == 0 || (fields[i].length & SPANS_LENGTH) != 0 || at < body ||
            at - body + fields[i].length > message->body.length)
            continue;
        put_u32(out + (size_t)8 * i, at - body);
        put_u32(out + (size_t)8 * i + 4, fields[i].length);
    }
    out[SPANS_AT] |= SPANS_FLAGGED | (message->batch ? SPANS_BATCH : 0);
    out[SPANS_VERDICT_AT] |= message->keep_verdict ? SPANS_VERDICT : 0;
    out[SPANS_SET_AT] = (uint8_t)(message->character_set & ~SPANS_NORMALISE) |
                        (message->normalise_segment_ends ? SPANS_NORMALISE : 0);
}

/* Whether the column says what was sealed. */
static bool batch_is_right(const struct row_view *view)
{
    if (view->spans.length != SPANS_BYTES)
        return true; /* not ours: the seal won't open */
    uint8_t flags = (uint8_t)view->spans.data[SPANS_AT];
    return (flags & SPANS_FLAGGED) == 0 || view->batch == ((flags & SPANS_BATCH) != 0);
}

static struct span span_read(struct span spans, size_t which, struct span body)
{
    const uint8_t *in = (const uint8_t *)spans.data + (size_t)8 * which;

    if (spans.length != SPANS_BYTES)
        return span_of(NULL, 0);
    size_t offset = get_u32(in) & ~SPANS_FLAGS, length = get_u32(in + 4) & ~SPANS_LENGTH;
    if (offset > body.length || length > body.length - offset)
        return span_of(NULL, 0);
    return span_of(body.data + offset, length);
}

/* ---- reading ---- */

static const char *text_or_none(const unsigned char *text)
{
    return text == NULL ? "" : (const char *)text;
}

static struct span digest_or_zeros(struct span digest)
{
    static const uint8_t zeros[32];

    return digest.length == sizeof zeros ? digest : span_of(zeros, sizeof zeros);
}

void row_view(struct sqlite_spool *spool, sqlite3_stmt *s, struct row_view *ret_view)
{
    *ret_view = (struct row_view){
        .id = sqlite3_column_int64(s, 0),
        .lane = lanes_by_id(spool, sqlite3_column_int64(s, 1)),
        .peer = text_or_none(sqlite3_column_text(s, 2)),
        .listener = text_or_none(sqlite3_column_text(s, 3)),
        .control_id = statement_span(s, 4),
        .message_type = statement_span(s, 5),
        .digest = digest_or_zeros(statement_span(s, 6)),
        .spans = statement_span(s, 7),
        .batch = sqlite3_column_int(s, 8) != 0,
        .received_ms = sqlite3_column_int64(s, 9),
        .bytes = sqlite3_column_int64(s, 10),
        .epoch = sqlite3_column_int64(s, 11),
        .connection = sqlite3_column_int64(s, 12),
        .has_outcome = sqlite3_column_type(s, 13) != SQLITE_NULL,
        .state = (enum spool_state)sqlite3_column_int(s, 14),
        .attempts = sqlite3_column_int64(s, 15),
        .counted = sqlite3_column_int64(s, 16),
        .due_ms = sqlite3_column_int64(s, 17),
        .settled_ms = sqlite3_column_int64(s, 18),
        .answer_epoch = sqlite3_column_int64(s, 19),
        .answer_bytes = sqlite3_column_int64(s, 20),
        .last_kind = sqlite3_column_int(s, 21),
        .last_status = sqlite3_column_int(s, 22),
        .last_reason = (const char *)sqlite3_column_text(s, 23),
    };
    if (ret_view->lane == NULL)
        ret_view->lane = spool->no_lane;
}

int row_get(struct sqlite_spool *spool, int64_t id, struct row_view *ret_view)
{
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_MESSAGE_ROW);

    if (statement != NULL) {
        sqlite3_reset(statement); /* the last user's view ends here */
        sqlite3_bind_int64(statement, 1, id);
    }
    int result = statement_step(spool, statement);
    if (result <= 0)
        return result == 0 ? -ENOENT : result;
    row_view(spool, statement, ret_view);
    return 0;
}

static char *copy_span(struct span text)
{
    char *copy = malloc(text.length + 1);

    if (copy == NULL)
        return NULL;
    if (text.length > 0)
        memcpy(copy, text.data, text.length);
    copy[text.length] = '\0';
    return copy;
}

/* An id of a connection means something to this start only. */
static uint64_t row_connection(struct sqlite_spool *spool, const struct row_view *view)
{
    return view->epoch == keys_current(spool)->id ? (uint64_t)view->connection : 0;
}

int row_copy(struct sqlite_spool *spool, const struct row_view *view, struct spool_row *ret_row)
{
    struct spool_row row = {.id = (uint64_t)view->id,
                            .lane = strdup(view->lane->name),
                            .route = strdup(view->lane->route),
                            .peer = strdup(view->peer),
                            .listener = strdup(view->listener),
                            .control_id = copy_span(view->control_id),
                            .control_id_length = view->control_id.length,
                            .message_type = copy_span(view->message_type),
                            .state = view->state,
                            .batch = view->batch,
                            .leased = leases_has(&spool->leases, (uint64_t)view->id),
                            .attempts = (int)view->attempts,
                            .counted_attempts = (int)view->counted,
                            .received_ms = view->received_ms,
                            .due_ms = view->due_ms,
                            .settled_ms = view->settled_ms,
                            .bytes = view->bytes,
                            .last_kind = (enum verdict_kind)view->last_kind,
                            .last_status = view->last_status,
                            .connection = row_connection(spool, view)};

    memcpy(row.digest, view->digest.data, sizeof row.digest);
    if (view->last_reason != NULL)
        snprintf(row.last_reason, sizeof row.last_reason, "%s", view->last_reason);
    if (row.lane == NULL || row.route == NULL || row.peer == NULL || row.listener == NULL ||
        row.control_id == NULL || row.message_type == NULL) {
        spool_row_clear(&row);
        return -ENOMEM;
    }
    *ret_row = row;
    return 0;
}

struct seal_place row_place(const struct row_view *view, char purpose)
{
    return (struct seal_place){.purpose = purpose,
                               .id = view->id,
                               .peer = view->peer,
                               .route = view->lane->route,
                               .lane = view->lane->name,
                               .extra = purpose == 'b' ? view->spans : span_of(NULL, 0)};
}

static struct message *message_of(struct sqlite_spool *spool, const struct row_view *view,
                                  char *body, size_t length)
{
    struct message *message = message_new(view->peer, view->listener, body, length);

    if (message == NULL)
        return NULL;
    message->control_id = span_read(view->spans, 0, message->body);
    message->message_type = span_read(view->spans, 1, message->body);
    message->facility = span_read(view->spans, 2, message->body);
    message->batch = view->batch;
    if (view->spans.length == SPANS_BYTES) {
        uint8_t set = (uint8_t)view->spans.data[SPANS_SET_AT];

        message->keep_verdict = ((uint8_t)view->spans.data[SPANS_VERDICT_AT] & SPANS_VERDICT) != 0;
        message->character_set = set & (uint8_t)~SPANS_NORMALISE;
        message->normalise_segment_ends = (set & SPANS_NORMALISE) != 0;
    }
    message->received_wall_ms = view->received_ms;
    message->connection = row_connection(spool, view);
    return message;
}

/* What isn't sealed with the body, and yet says where it goes and as what: the digest holds the stable
 * id and, with peer, control id and listener, the record's; batch, whether it is split. */
static int message_verify(struct sqlite_spool *spool, const struct row_view *view,
                          struct message *message)
{
    int result = sqlite_digest(&spool->backend, message);

    if (result < 0)
        return result;
    return batch_is_right(view) &&
                   memcmp(message->digest, view->digest.data, sizeof message->digest) == 0
               ? 0
               : -EBADMSG;
}

int row_message(struct sqlite_spool *spool, const struct row_view *view,
                struct message **ret_message)
{
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_MESSAGE_BODY);
    const struct seal_place place = row_place(view, 'b');
    char *body = NULL;
    size_t length = 0;

    if (statement != NULL)
        sqlite3_bind_int64(statement, 1, view->id);
    int result = statement_step(spool, statement);
    if (result <= 0)
        return result == 0 ? -ENOENT : result;
    result = keys_unseal(spool, &place, view->epoch, statement_span(statement, 0), &body, &length);
    sqlite3_reset(statement);
    if (result < 0)
        return result;
    struct message *message = message_of(spool, view, body, length);
    if (message == NULL) {
        free(body);
        return -ENOMEM;
    }
    result = message_verify(spool, view, message);
    if (result < 0)
        message_release(&message);
    else
        *ret_message = message;
    return result;
}

int row_answer(struct sqlite_spool *spool, const struct row_view *view,
               struct answer_bytes **ret_answer)
{
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_OUTCOME_ANSWER);
    const struct seal_place place = row_place(view, 'a');
    char *plain = NULL;
    size_t length = 0;

    *ret_answer = NULL;
    if (view->answer_epoch == 0)
        return 0;
    if (statement != NULL)
        sqlite3_bind_int64(statement, 1, view->id);
    int result = statement_step(spool, statement);
    if (result <= 0)
        return result == 0 ? -ENOENT : result;
    result = keys_unseal(spool, &place, view->answer_epoch, statement_span(statement, 0), &plain,
                         &length);
    sqlite3_reset(statement);
    if (result < 0)
        return result;
    *ret_answer = answer_bytes_new(span_of(plain, length));
    free(plain);
    return *ret_answer == NULL ? -ENOMEM : 0;
}

/* ---- fresh rows ---- */

void fresh_note(struct sqlite_spool *spool, int64_t id, struct sqlite_lane *lane, int64_t bytes,
                int64_t epoch)
{
    spool->fresh[id % SQLITE_FRESH] = (struct fresh_row){id, lane, bytes, epoch};
}

void fresh_forget(struct sqlite_spool *spool, int64_t id)
{
    if (id == 0)
        memset(spool->fresh, 0, sizeof spool->fresh);
    else if (spool->fresh[id % SQLITE_FRESH].id == id)
        spool->fresh[id % SQLITE_FRESH].id = 0;
}

/* ---- writing ---- */

int queue_insert(struct sqlite_spool *spool, struct sqlite_lane *lane, int64_t id)
{
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_QUEUE_INSERT);

    if (statement == NULL)
        return database_error(spool);
    if (id < lane->first_free)
        lane->first_free = id;
    sqlite3_bind_int64(statement, 1, lane->id);
    sqlite3_bind_int64(statement, 2, id);
    return statement_run(spool, statement);
}

int queue_delete(struct sqlite_spool *spool, const struct sqlite_lane *lane, int64_t id)
{
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_QUEUE_DELETE);

    if (statement == NULL)
        return database_error(spool);
    sqlite3_bind_int64(statement, 1, lane->id);
    sqlite3_bind_int64(statement, 2, id);
    return statement_run(spool, statement);
}

int outcome_put(struct sqlite_spool *spool, const struct outcome *outcome, int64_t answer_epoch,
                int64_t answer_bytes, struct span sealed)
{
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_OUTCOME_PUT);

    fresh_forget(spool, outcome->id);
    if (statement == NULL)
        return database_error(spool);
    sqlite3_bind_int64(statement, 1, outcome->id);
    sqlite3_bind_int(statement, 2, (int)outcome->state);
    sqlite3_bind_int64(statement, 3, outcome->attempts);
    sqlite3_bind_int64(statement, 4, outcome->counted);
    sqlite3_bind_int64(statement, 5, outcome->due_ms);
    sqlite3_bind_int64(statement, 6, outcome->settled_ms);
    sqlite3_bind_int(statement, 7, outcome->kind);
    sqlite3_bind_int(statement, 8, outcome->status);
    statement_bind_text(statement, 9, outcome->reason);
    sqlite3_bind_int64(statement, 10, answer_epoch);
    sqlite3_bind_int64(statement, 11, answer_bytes);
    if (answer_epoch == 0)
        sqlite3_bind_null(statement, 12);
    else
        statement_bind_span(statement, 12, sealed);
    return statement_run(spool, statement);
}

static int delete_by_id(struct sqlite_spool *spool, enum statement which, int64_t id)
{
    sqlite3_stmt *statement = statement_get(spool, which);

    if (statement == NULL)
        return database_error(spool);
    sqlite3_bind_int64(statement, 1, id);
    return statement_run(spool, statement);
}

int outcome_delete(struct sqlite_spool *spool, int64_t id)
{
    return delete_by_id(spool, STATEMENT_OUTCOME_DELETE, id);
}

int row_remove(struct sqlite_spool *spool, const struct row_view *view)
{
    struct sqlite_lane *lane = view->lane;

    fresh_forget(spool, view->id);
    int result = delete_by_id(spool, STATEMENT_MESSAGE_DELETE, view->id);
    if (result == 0 && view->state == SPOOL_QUEUED)
        result = queue_delete(spool, lane, view->id);
    if (result == 0 && view->has_outcome)
        result = outcome_delete(spool, view->id);
    if (result < 0)
        return result;
    keys_forget(spool, view->epoch, 'b', view->id);
    if (view->answer_epoch != 0)
        keys_forget(spool, view->answer_epoch, 'a', view->id);
    lanes_count(spool, lane, view->state, view->bytes, view->answer_bytes, -1);
    return 0;
}

static void message_bind(sqlite3_stmt *statement, const struct message *message)
{
    sqlite3_bind_int64(statement, 5, message->received_wall_ms);
    sqlite3_bind_int64(statement, 6, (int64_t)message->body.length);
    sqlite3_bind_int(statement, 7, message->batch);
    statement_bind_text(statement, 8, message->peer);
    statement_bind_text(statement, 9, message->listener);
    statement_bind_span(statement, 10, message->control_id);
    statement_bind_span(statement, 11, message->message_type);
    statement_bind_span(statement, 12, span_of(message->digest, sizeof message->digest));
}

int message_insert(struct sqlite_spool *spool, int64_t id, const struct sqlite_lane *lane,
                   const struct message *message, int64_t connection)
{
    uint8_t spans[SPANS_BYTES];
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_MESSAGE_INSERT);

    spans_write(message, spans);
    const struct seal_place place = {'b',         id,         message->peer,
                                     lane->route, lane->name, span_of(spans, sizeof spans)};
    int result = keys_seal(spool, &place, message->body);
    if (result == 0 && statement == NULL)
        result = database_error(spool);
    if (result < 0)
        return result;
    sqlite3_bind_int64(statement, 1, id);
    sqlite3_bind_int64(statement, 2, lane->id);
    sqlite3_bind_int64(statement, 3, keys_current(spool)->id);
    sqlite3_bind_int64(statement, 4, connection);
    message_bind(statement, message);
    statement_bind_span(statement, 13, span_of(spans, sizeof spans));
    statement_bind_span(statement, 14, buffer_span(&spool->scratch));
    return statement_run(spool, statement);
}
