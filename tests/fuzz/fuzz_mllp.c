/* links: hl7 base */
/* The decoder gives the same events however the stream is cut. The first byte chooses lenient_end,
 * the limit and the cuts; the rest is the stream. */
#include "support/mllp_trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    struct buffer encoded; /* the messages, framed again */
    size_t messages;
};

static void collect(enum mllp_event event, struct span content, void *context)
{
    struct seen *seen = context;

    if (event != MLLP_MESSAGE)
        return;
    mllp_trace_check(memchr(content.data, MLLP_VT, content.length) == NULL);
    mllp_trace_check(mllp_encode(&seen->encoded, content) == 0);
    seen->messages++;
}

static void count(enum mllp_event event, struct span content, void *context)
{
    size_t *messages = context;

    (void)content;
    *messages += event == MLLP_MESSAGE;
}

/* cuts: 0 is whole; else the seed of random pieces. */
static void run(struct mllp_trace *trace, const uint8_t *data, size_t size, size_t maximum,
                bool lenient, uint64_t cuts, struct seen *seen)
{
    size_t at = 0;

    mllp_trace_begin(trace, maximum, lenient);
    trace->seen = collect;
    trace->context = seen;
    while (at < size) {
        size_t piece = cuts == 0 ? size : (size_t)(mllp_trace_random(&cuts) % 7);
        piece = piece < size - at ? piece : size - at;
        mllp_trace_feed(trace, data + at, piece);
        at += piece;
    }
    (void)mllp_trace_end(trace);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mllp_trace whole, cut, again;
    struct seen first = {.messages = 0}, second = {.messages = 0};
    size_t repeated = 0;

    if (size < 1)
        return 0;
    bool lenient = (data[0] & 1) != 0;
    size_t maximum = (data[0] & 2) != 0 ? 16 : 1u << 20;
    buffer_init(&first.encoded, 8u << 20);
    buffer_init(&second.encoded, 8u << 20);
    run(&whole, data + 1, size - 1, maximum, lenient, 0, &first);
    run(&cut, data + 1, size - 1, maximum, lenient, data[0] + 1u, &second);
    mllp_trace_check(strcmp(whole.text.data, cut.text.data) == 0);

    /* What came out can go in again: no content ends with FS, which would be framing. */
    mllp_trace_begin(&again, maximum, false);
    again.seen = count;
    again.context = &repeated;
    if (first.encoded.length > 0)
        mllp_trace_feed(&again, first.encoded.data, first.encoded.length);
    mllp_trace_check(repeated == first.messages);
    mllp_trace_check(again.decoder.junk_bytes == 0 && again.decoder.padding_bytes == 0);

    mllp_trace_free(&whole);
    mllp_trace_free(&cut);
    mllp_trace_free(&again);
    buffer_free(&first.encoded);
    buffer_free(&second.encoded);
    return 0;
}
