#include "hl7/mllp.h"

#include "hl7/scan.h"

#include <errno.h>
#include <stdlib.h>

enum mllp_state {
    MLLP_STATE_OUTSIDE, /* between frames: skipping to the next start block */
    MLLP_STATE_CONTENT, /* a start block came */
    MLLP_STATE_FS,      /* strict: pending_fs end blocks, framing if CR comes next */
    MLLP_STATE_TRAILER, /* lenient: the frame has ended, its CR (or LF) may still come */
    MLLP_STATE_DEAD,    /* too large: swallows everything */
};

#define MLLP_SLACK_BYTES 64 /* memory that is not worth a realloc() when content is taken */

void mllp_decoder_init(struct mllp_decoder *decoder, const struct mllp_limits *limits)
{
    *decoder = (struct mllp_decoder){.limits = *limits, .state = MLLP_STATE_OUTSIDE};
    buffer_init(&decoder->content, limits->maximum_content_bytes);
}

void mllp_decoder_free(struct mllp_decoder *decoder)
{
    if (decoder == NULL)
        return;
    buffer_free(&decoder->content);
    decoder->state = MLLP_STATE_OUTSIDE;
    decoder->complete = false;
    decoder->abandoned_pending = false;
}

void mllp_decoder_reset(struct mllp_decoder *decoder)
{
    mllp_decoder_free(decoder);
}

void mllp_decoder_set_limits(struct mllp_decoder *decoder, const struct mllp_limits *limits)
{
    decoder->limits = *limits;
}

struct span mllp_decoder_content(const struct mllp_decoder *decoder)
{
    return buffer_span(&decoder->content);
}

char *mllp_decoder_take(struct mllp_decoder *decoder, size_t *ret_length)
{
    if (!decoder->complete)
        return NULL;

    size_t slack = decoder->content.capacity - decoder->content.length;
    char *data = buffer_take(&decoder->content, ret_length);
    decoder->complete = false;
    if (slack > MLLP_SLACK_BYTES) {
        char *shrunk = realloc(data, *ret_length);
        if (shrunk != NULL)
            data = shrunk;
    }
    return data;
}

bool mllp_decoder_in_frame(const struct mllp_decoder *decoder)
{
    return decoder->state == MLLP_STATE_CONTENT || decoder->state == MLLP_STATE_FS ||
           decoder->state == MLLP_STATE_DEAD;
}

size_t mllp_decoder_memory(const struct mllp_decoder *decoder)
{
    return decoder->content.capacity;
}

/* ---- decoding: each step consumes from *at and may set the event ---- */

static void mllp_open(struct mllp_decoder *decoder)
{
    decoder->state = MLLP_STATE_CONTENT;
    decoder->lenient = decoder->limits.lenient_end;
    decoder->content.maximum = decoder->limits.maximum_content_bytes;
}

/* Content that nobody took, and that of an abandoned frame, live until the next feed. */
static void mllp_drop_last(struct mllp_decoder *decoder)
{
    if (decoder->complete)
        buffer_free(&decoder->content);
    if (decoder->abandoned_pending)
        buffer_clear(&decoder->content);
    decoder->complete = false;
    decoder->abandoned_pending = false;
}

static enum mllp_event mllp_complete(struct mllp_decoder *decoder)
{
    const struct buffer *content = &decoder->content;
    enum mllp_event event = MLLP_MESSAGE;

    decoder->state = decoder->lenient ? MLLP_STATE_TRAILER : MLLP_STATE_OUTSIDE;
    if (content->length == 0)
        event = MLLP_EMPTY;
    else if (content->length == 1 && content->data[0] == MLLP_CR)
        event = MLLP_EMPTY;
    else if (content->length == 1 && content->data[0] == MLLP_ACK)
        event = MLLP_COMMIT_ACK;
    else if (content->length == 1 && content->data[0] == MLLP_NAK)
        event = MLLP_COMMIT_NAK;
    if (event == MLLP_MESSAGE)
        decoder->complete = true;
    else
        buffer_free(&decoder->content);
    return event;
}

/* Returns 0, 1 when the limit was passed (content is filled up to it), or -ENOMEM. */
static int mllp_keep(struct mllp_decoder *decoder, const char *data, size_t length)
{
    size_t room = decoder->content.maximum - decoder->content.length;
    size_t kept = length < room ? length : room;

    int result = buffer_append(&decoder->content, data, kept);
    if (result < 0) {
        mllp_decoder_reset(decoder);
        return result;
    }
    return kept < length ? 1 : 0;
}

static int mllp_die(struct mllp_decoder *decoder, enum mllp_event *event)
{
    decoder->state = MLLP_STATE_DEAD;
    *event = MLLP_TOO_LARGE;
    return 0;
}

static void mllp_step_outside(struct mllp_decoder *decoder, const char **at, const char *end,
                              enum mllp_event *event)
{
    const char *start = memchr(*at, MLLP_VT, (size_t)(end - *at));
    const char *stop = start == NULL ? end : start;

    if (stop == *at) {
        (*at)++;
        mllp_open(decoder);
        *event = MLLP_OPENED;
        return;
    }
    for (; *at < stop; (*at)++) {
        if (**at == '\r' || **at == '\n' || **at == '\0')
            decoder->padding_bytes++;
        else
            decoder->junk_bytes++;
    }
    *event = MLLP_JUNK;
}

/* At an end block or a start block inside the frame. */
static void mllp_step_control(struct mllp_decoder *decoder, const char **at, enum mllp_event *event)
{
    char byte = *(*at)++;

    if (byte == MLLP_FS && decoder->lenient) {
        *event = mllp_complete(decoder);
    } else if (byte == MLLP_FS) {
        decoder->state = MLLP_STATE_FS;
        decoder->pending_fs = 1;
    } else if (decoder->content.length > 0) {
        decoder->abandoned_pending = true;
        mllp_open(decoder);
        *event = MLLP_ABANDONED;
    } /* else VT directly behind VT: the same frame, and its deadline goes on */
}

static int mllp_step_content(struct mllp_decoder *decoder, const char **at, const char *end,
                             enum mllp_event *event)
{
    const char *stop = scan_two(*at, end, MLLP_VT, MLLP_FS);
    const char *from = *at;

    *at = stop;
    if (stop > from) {
        int result = mllp_keep(decoder, from, (size_t)(stop - from));
        if (result != 0)
            return result < 0 ? result : mllp_die(decoder, event);
    }
    if (stop < end)
        mllp_step_control(decoder, at, event);
    return 0;
}

/* Strict: what looked like the end was content. */
static int mllp_keep_pending(struct mllp_decoder *decoder, enum mllp_event *event)
{
    char run[64];

    memset(run, MLLP_FS, sizeof run);
    decoder->state = MLLP_STATE_CONTENT;
    while (decoder->pending_fs > 0) {
        size_t length = decoder->pending_fs < sizeof run ? decoder->pending_fs : sizeof run;
        int result = mllp_keep(decoder, run, length);
        if (result != 0)
            return result < 0 ? result : mllp_die(decoder, event);
        decoder->pending_fs -= length;
    }
    return 0;
}

static int mllp_step_fs(struct mllp_decoder *decoder, const char **at, const char *end,
                        enum mllp_event *event)
{
    for (; *at < end && **at == MLLP_FS; (*at)++)
        decoder->pending_fs++;
    if (*at == end)
        return 0;
    if (**at != MLLP_CR) {
        int result = mllp_keep_pending(decoder, event); /* the byte itself is looked at next */
        if (*event != MLLP_NEED_MORE)
            (*at)++; /* every event consumes something */
        return result;
    }
    (*at)++;
    *event = mllp_complete(decoder);
    return 0;
}

static void mllp_step_trailer(struct mllp_decoder *decoder, const char **at)
{
    char byte = **at;

    if (byte != MLLP_FS)
        decoder->state = MLLP_STATE_OUTSIDE;
    if (byte == MLLP_FS || byte == MLLP_CR || byte == '\n')
        (*at)++;
}

static int mllp_step(struct mllp_decoder *decoder, const char **at, const char *end,
                     enum mllp_event *event)
{
    switch ((enum mllp_state)decoder->state) {
    case MLLP_STATE_OUTSIDE:
        mllp_step_outside(decoder, at, end, event);
        return 0;
    case MLLP_STATE_CONTENT:
        return mllp_step_content(decoder, at, end, event);
    case MLLP_STATE_FS:
        return mllp_step_fs(decoder, at, end, event);
    case MLLP_STATE_TRAILER:
        mllp_step_trailer(decoder, at);
        return 0;
    case MLLP_STATE_DEAD:
        *at = end;
        return 0;
    }
    return 0;
}

int mllp_decoder_feed(struct mllp_decoder *decoder, const void *data, size_t length,
                      size_t *ret_used, enum mllp_event *ret_event)
{
    const char *at = data, *end = length == 0 ? at : at + length;
    enum mllp_event event = MLLP_NEED_MORE;

    mllp_drop_last(decoder);
    while (at < end && event == MLLP_NEED_MORE) {
        int result = mllp_step(decoder, &at, end, &event);
        if (result < 0)
            return result;
    }
    *ret_used = (size_t)(at - (const char *)data);
    *ret_event = event;
    decoder->offset += *ret_used;
    return 0;
}

enum mllp_event mllp_decoder_finish(struct mllp_decoder *decoder)
{
    mllp_drop_last(decoder);
    return MLLP_NEED_MORE;
}

/* ---- encoding ---- */

int mllp_encode(struct buffer *out, struct span content)
{
    static const char trailer[2] = {MLLP_FS, MLLP_CR};

    if (content.length > SIZE_MAX - 3)
        return -EMSGSIZE;
    int result = buffer_reserve(out, content.length + 3); /* all or nothing */
    if (result == 0)
        result = buffer_append_byte(out, MLLP_VT);
    if (result == 0)
        result = buffer_append(out, content.data, content.length);
    if (result == 0)
        result = buffer_append(out, trailer, sizeof trailer);
    return result;
}

int mllp_encode_commit(struct buffer *out, bool positive)
{
    char byte = positive ? MLLP_ACK : MLLP_NAK;

    return mllp_encode(out, span_of(&byte, 1));
}
