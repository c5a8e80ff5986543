/* links: ingress spool tls admission hl7 loop base config certs */
/* timeout: 300 */
/* Every stream of tests/data/invalid through a connection, whole, byte by byte and cut at random
 * places: deliveries, replies and the connection's end are what README.tsv says. */
#include "support/corpus.h"
#include "support/replay_connection.h"

#define ROWS 73
#define SEED 20261122u
#define CUTS 200
#define SMALL 4096
#define LARGE_ROW "f32-10MB-single-field.bin"
#define LARGE_BYTES 9999940

enum cutting { WHOLE, BYTES, RANDOM, CUTTINGS };
static const char *const cutting_names[] = {"whole", "byte by byte", "cut at random"};

struct row {
    const char *file, *deliveries, *replies, *connection;
};

struct outcome {
    size_t deliveries;
    char replies[64];
    bool open;
    enum reason closed;
    struct buffer delivered; /* all bodies, one behind the other */
};

/* Rows that a rule of the gateway's own overrules. h26 has no segment end at all, so what stands in
 * the places of MSH-15 and MSH-16 is EVN's and PID's: values outside table 0155, which count as AL. */
static const struct {
    const char *file, *replies;
} overruled[] = {{"h26-no-segment-terminator-at-all.bin", "CA,AA"}};

static unsigned seed;

static size_t random_below(size_t limit)
{
    seed = seed * 1664525u + 1013904223u;
    return (size_t)(((uint64_t)seed * limit) >> 32);
}

/* "a|b" holds one of the alternatives. */
static bool one_of(const char *alternatives, const char *wanted)
{
    size_t length = strlen(wanted);

    for (const char *at = alternatives; at != NULL;) {
        const char *bar = strchr(at, '|');
        size_t each = bar == NULL ? strlen(at) : (size_t)(bar - at);
        if (each == length && memcmp(at, wanted, length) == 0) {
            return true;
        }
        at = bar == NULL ? NULL : bar + 1;
    }
    return false;
}

static void send_cut(struct replay *replay, unsigned client, struct span stream,
                     enum cutting cutting)
{
    size_t at = 0;

    while (at < stream.length && replay->clients[client].connection != NULL) {
        size_t left = stream.length - at, piece = left;
        if (cutting == BYTES) {
            piece = 1;
        } else if (cutting == RANDOM) {
            piece = 1 + random_below(2 * stream.length / CUTS);
        }
        piece = piece < left ? piece : left;
        replay_receive(replay, client, stream.data + at, piece);
        at += piece;
    }
}

static void collect(struct replay *replay, unsigned client, struct outcome *ret)
{
    struct spool_put *put;
    struct ack_reply reply;
    struct span frame = {NULL, 0};
    size_t used = 0;

    while ((put = replay_next_put(replay)) != NULL) {
        ret->deliveries++;
        assert_int_equal(
            buffer_append(&ret->delivered, put->message->body.data, put->message->body.length), 0);
    }
    while (replay_next_frame(replay, client, &frame)) {
        assert_int_equal(ack_read(frame, &reply), 0);
        used += (size_t)snprintf(ret->replies + used, sizeof(ret->replies) - used, "%s%s",
                                 used == 0 ? "" : ",", ack_code_text(reply.code));
        assert_true(used < sizeof(ret->replies));
    }
    if (used == 0) {
        snprintf(ret->replies, sizeof(ret->replies), "none");
    }
    ret->open = replay->clients[client].connection != NULL;
    ret->closed = replay->clients[client].closed;
}

/* A connection that is kept takes the next good message, and answers it last. */
static void check_usable(const char *file, struct replay *replay, unsigned client)
{
    struct ack_reply reply = {.code = ACK_CODE_UNKNOWN};
    struct spool_put *put;
    struct span frame = {NULL, 0};

    replay_text(replay, client, REPLAY_MESSAGE("AFTER"));
    while (replay_next_frame(replay, client, &frame)) {
        assert_int_equal(ack_read(frame, &reply), 0);
    }
    put = replay_next_put(replay);
    if (reply.code != ACK_AA || !span_equal_string(reply.control_id, "AFTER") || put == NULL ||
        !span_equal_string(put->message->body, REPLAY_MSH("AFTER") "\rPID|1\r")) {
        fail_msg("%s: the next message was not taken", file);
    }
}

static const char *end_of(const struct outcome *outcome, bool after_deadline)
{
    if (outcome->open) {
        return "keep";
    }
    if (!after_deadline &&
        (outcome->closed == REASON_PEER_CLOSED || outcome->closed == REASON_PEER_CLOSED_IN_FRAME)) {
        return "peer-closed";
    }
    return "close";
}

static void check_end(const struct row *row, struct replay *replay, unsigned client,
                      const struct outcome *outcome)
{
    const char *end = end_of(outcome, false);

    if (outcome->open && one_of(row->connection, "keep")) {
        check_usable(row->file, replay, client);
        return;
    }
    if (outcome->open) { /* it has to end by itself: frame, or start block */
        replay_advance(replay, 30000);
        end = replay->clients[client].connection == NULL ? "close" : "keep";
    }
    if (!one_of(row->connection, end)) {
        fail_msg("%s: the connection: %s, not %s", row->file, end, row->connection);
    }
}

static void run_row(const struct row *row, struct span stream, const char *config,
                    enum cutting cutting, struct outcome *ret)
{
    struct replay *replay = replay_new(config);
    unsigned client = replay_connect(replay, "10.0.0.1");
    char deliveries[24];

    *ret = (struct outcome){.deliveries = 0};
    buffer_init(&ret->delivered, 32u << 20);
    replay->automatic = true;
    send_cut(replay, client, stream, cutting);
    if (strcmp(row->connection, "peer-closed") == 0) {
        replay_eof(replay, client);
    }
    collect(replay, client, ret);
    snprintf(deliveries, sizeof(deliveries), "%zu", ret->deliveries);
    if (!one_of(row->deliveries, deliveries) || !one_of(row->replies, ret->replies)) {
        fail_msg("%s, %s (seed %u): %s deliveries, not %s; replies %s, not %s", row->file,
                 cutting_names[cutting], SEED, deliveries, row->deliveries, ret->replies,
                 row->replies);
    }
    check_end(row, replay, client, ret);
    replay_free(&replay);
}

/* However the stream is cut, the same comes of it. */
static void check_row(const struct row *row, struct span stream, const char *config)
{
    struct outcome first, other;

    run_row(row, stream, config, WHOLE, &first);
    for (enum cutting cutting = BYTES; cutting < CUTTINGS; cutting++) {
        if ((cutting == BYTES) != (stream.length <= SMALL)) {
            continue;
        }
        run_row(row, stream, config, cutting, &other);
        if (strcmp(first.replies, other.replies) != 0 || first.open != other.open ||
            !span_equal(buffer_span(&first.delivered), buffer_span(&other.delivered))) {
            fail_msg("%s: %s it differs from whole", row->file, cutting_names[cutting]);
        }
        buffer_free(&other.delivered);
    }
    buffer_free(&first.delivered);
}

static void make_large(struct buffer *out)
{
    static const char head[] = "\v" REPLAY_MSH("INVF32") "\rOBX|1|ED|PDF||";
    static const char tail[] = "||||||F\r\x1c\r";
    size_t filler = LARGE_BYTES - (sizeof(head) - 1) - (sizeof(tail) - 1);

    assert_int_equal(buffer_append(out, head, sizeof(head) - 1), 0);
    assert_int_equal(buffer_reserve(out, filler), 0);
    memset(out->data + out->length, 'A', filler);
    out->length += filler;
    assert_int_equal(buffer_append(out, tail, sizeof(tail) - 1), 0);
    assert_int_equal(out->length, LARGE_BYTES);
}

static void every_row(const char *config)
{
    struct corpus_table table;
    const char *fields[8];
    int rows = 0;

    assert_int_equal(corpus_table_open(&table, "invalid/README.tsv"), 0);
    while (corpus_table_next(&table, fields, 8)) {
        struct row row = {fields[0], fields[5], fields[6], fields[7]};
        for (size_t i = 0; i < sizeof(overruled) / sizeof(overruled[0]); i++) {
            if (strcmp(row.file, overruled[i].file) == 0) {
                row.replies = overruled[i].replies;
            }
        }
        struct buffer stream;
        char name[256];
        buffer_init(&stream, 16u << 20);
        snprintf(name, sizeof(name), "invalid/%s", row.file);
        if (strcmp(row.file, LARGE_ROW) == 0) {
            make_large(&stream);
        } else {
            assert_int_equal(corpus_read(name, &stream), 0);
        }
        assert_int_equal(stream.length, strtoul(fields[1], NULL, 10));
        seed = SEED;
        check_row(&row, buffer_span(&stream), config);
        buffer_free(&stream);
        rows++;
    }
    corpus_table_close(&table);
    assert_int_equal(rows, ROWS);
}

static void as_installed(void **state)
{
    (void)state;
    every_row(REPLAY_CONFIG("", ""));
}

static void lenient(void **state)
{
    (void)state;
    every_row(REPLAY_CONFIG("", "lenient_end = true;"));
}

static void without_acknowledging_abandoned_frames(void **state)
{
    (void)state;
    every_row(REPLAY_CONFIG("", "abandoned_frame = \"silent\";"));
}

/* A frame over the limit: bounded memory, nothing delivered. */
static void large_row_over_the_limit(void **state)
{
    struct row row = {LARGE_ROW, "0", "AR", "close"};
    struct buffer stream;

    (void)state;
    buffer_init(&stream, 16u << 20);
    make_large(&stream);
    check_row(&row, buffer_span(&stream), REPLAY_CONFIG("", "maximum_frame_bytes = 1000000;"));
    buffer_free(&stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_installed),
        cmocka_unit_test(lenient),
        cmocka_unit_test(without_acknowledging_abandoned_frames),
        cmocka_unit_test(large_row_over_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
