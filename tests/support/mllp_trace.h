/*
 * mllp_trace: feeds a decoder and writes its events down as text, so that two ways of cutting the
 * same stream can be compared. Header only: fuzz targets use it without a library.
 */
#ifndef MLLPGW_TESTS_MLLP_TRACE_H
#define MLLPGW_TESTS_MLLP_TRACE_H

#include "hl7/mllp.h"

#include <stdlib.h>

struct mllp_trace {
    struct mllp_decoder decoder;
    struct buffer text; /* a line an event; junk only as totals, since its events depend on cuts */
    void (*seen)(enum mllp_event event, struct span content, void *context); /* may be NULL */
    void *context;
};

static inline void mllp_trace_check(bool good)
{
    if (!good)
        abort();
}

static inline uint64_t mllp_trace_hash(struct span content)
{
    uint64_t hash = 14695981039346656037u;

    for (size_t i = 0; i < content.length; i++)
        hash = (hash ^ (unsigned char)content.data[i]) * 1099511628211u;
    return hash;
}

static inline void mllp_trace_begin(struct mllp_trace *trace, size_t maximum, bool lenient)
{
    struct mllp_limits limits = {.maximum_content_bytes = maximum, .lenient_end = lenient};

    mllp_decoder_init(&trace->decoder, &limits);
    buffer_init(&trace->text, SIZE_MAX / 2);
    trace->seen = NULL;
    trace->context = NULL;
}

static inline void mllp_trace_event(struct mllp_trace *trace, enum mllp_event event)
{
    static const char *const names[] = {"more",       "opened",     "message", "abandoned", "empty",
                                        "commit-ack", "commit-nak", "junk",    "too-large"};
    bool carries = event == MLLP_MESSAGE || event == MLLP_ABANDONED || event == MLLP_TOO_LARGE;
    struct span content = mllp_decoder_content(&trace->decoder);

    if (event == MLLP_NEED_MORE || event == MLLP_JUNK)
        return;
    mllp_trace_check(content.length <= trace->decoder.limits.maximum_content_bytes);
    mllp_trace_check(mllp_decoder_memory(&trace->decoder) <=
                     trace->decoder.limits.maximum_content_bytes);
    if (carries)
        mllp_trace_check(buffer_append_format(&trace->text, "%s %zu %016llx\n", names[event],
                                              content.length,
                                              (unsigned long long)mllp_trace_hash(content)) == 0);
    else
        mllp_trace_check(buffer_append_format(&trace->text, "%s\n", names[event]) == 0);
    if (trace->seen != NULL)
        trace->seen(event, content, trace->context);
    if (event == MLLP_MESSAGE) {
        size_t length;
        char *taken = mllp_decoder_take(&trace->decoder, &length);
        mllp_trace_check(taken != NULL && length == content.length);
        free(taken);
    }
}

/* The piece is copied, so that a read past its end is seen by ASan. */
static inline void mllp_trace_feed(struct mllp_trace *trace, const void *data, size_t length)
{
    char *piece = malloc(length > 0 ? length : 1);
    size_t at = 0;

    mllp_trace_check(piece != NULL);
    if (length > 0)
        memcpy(piece, data, length);
    do {
        enum mllp_event event;
        size_t used;
        mllp_trace_check(
            mllp_decoder_feed(&trace->decoder, piece + at, length - at, &used, &event) == 0);
        mllp_trace_check(used <= length - at && (used > 0 || at == length));
        mllp_trace_check(event != MLLP_NEED_MORE || at + used == length);
        at += used;
        mllp_trace_event(trace, event);
    } while (at < length);
    free(piece);
}

/* Ends the stream and closes the text with the totals and a NUL. */
static inline const char *mllp_trace_end(struct mllp_trace *trace)
{
    bool in_frame = mllp_decoder_in_frame(&trace->decoder);

    mllp_trace_event(trace, mllp_decoder_finish(&trace->decoder));
    mllp_trace_check(
        buffer_append_format(&trace->text, "end junk=%llu padding=%llu offset=%llu open=%d",
                             (unsigned long long)trace->decoder.junk_bytes,
                             (unsigned long long)trace->decoder.padding_bytes,
                             (unsigned long long)trace->decoder.offset, in_frame) == 0);
    mllp_trace_check(buffer_append_byte(&trace->text, '\0') == 0);
    return trace->text.data;
}

static inline void mllp_trace_free(struct mllp_trace *trace)
{
    mllp_decoder_free(&trace->decoder);
    buffer_free(&trace->text);
}

/* A small generator with a seed that a failing test can print. */
static inline uint64_t mllp_trace_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif
