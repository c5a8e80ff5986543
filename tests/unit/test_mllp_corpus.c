/* links: hl7 base */
/* Every stream of tests/data/invalid through the codecs: whole, byte by byte (streams over 4 KB:
 * cut at 200 random places), strict and lenient. The answers are compared with the table below and
 * with what README.tsv allows. MLLP_CORPUS_SEED repeats the random cuts of a failed run. */
#include "hl7/ack.h"
#include "hl7/batch.h"
#include "support/corpus.h"
#include "support/mllp_trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define MAXIMUM (16u << 20)
#define WHOLE_CUTS 4096 /* longer streams are cut at random places instead of everywhere */
#define RANDOM_CUTS 200

static uint64_t seed;

/* What a listener with default settings would do with the events: deliveries, and MSA-1 of each
 * answer, "AA,AR". An abandoned frame gets AE when its header can be read. */
struct outcome {
    char answers[64];
    int deliveries;
    char reasons[64]; /* of what was not taken */
};

static void add_word(char *text, size_t size, const char *word)
{
    size_t length = strlen(text);

    snprintf(text + length, size - length, "%s%s", length > 0 ? "," : "", word);
}

static void add_problem(struct outcome *outcome, const char *kind, enum msh_problem problem)
{
    static const char *const names[] = {"ok",           "not-hl7", "no-delimiters", "bad-separator",
                                        "bad-encoding", "no-type", "unsafe-id",     "long-id"};
    char word[48];

    snprintf(word, sizeof word, "%s%s", kind, names[problem]);
    add_word(outcome->reasons, sizeof outcome->reasons, word);
}

static void answer_message(struct outcome *outcome, struct span content)
{
    struct batch batch;
    enum msh_problem problem = batch_read(content, &batch, NULL);
    bool refused = problem != MSH_OK || batch.messages == 0;

    if (problem == MSH_OK && msh_is_acknowledgment(&batch.header))
        return;
    if (refused)
        add_problem(outcome, "", problem);
    outcome->deliveries += !refused;
    add_word(outcome->answers, sizeof outcome->answers, refused ? "AR" : "AA");
}

static void answer_event(enum mllp_event event, struct span content, void *context)
{
    struct outcome *outcome = context;
    struct msh msh;

    if (event == MLLP_MESSAGE) {
        answer_message(outcome, content);
    } else if (event == MLLP_ABANDONED) {
        enum msh_problem problem = msh_read(content, &msh, NULL);
        add_problem(outcome, "abandoned ", problem);
        if (problem == MSH_OK)
            add_word(outcome->answers, sizeof outcome->answers, "AE");
    }
}

/* cuts: 0 whole, 1 byte by byte, 2 random. The caller frees the trace. */
static void run(struct span stream, bool lenient, int cuts, struct mllp_trace *trace,
                struct outcome *outcome)
{
    *outcome = (struct outcome){.deliveries = 0};
    mllp_trace_begin(trace, MAXIMUM, lenient);
    trace->seen = answer_event;
    trace->context = outcome;
    size_t at = 0;
    while (at < stream.length) {
        size_t left = stream.length - at, piece = left;
        if (cuts == 1)
            piece = 1;
        if (cuts == 2)
            piece = (size_t)(mllp_trace_random(&seed) % (stream.length * 2 / RANDOM_CUTS)) + 1;
        piece = piece < left ? piece : left;
        mllp_trace_feed(trace, stream.data + at, piece);
        at += piece;
    }
    (void)mllp_trace_end(trace);
    if (outcome->answers[0] == '\0')
        snprintf(outcome->answers, sizeof outcome->answers, "none");
}

static void run_both_ways(const char *name, struct span stream, bool lenient,
                          struct outcome *ret_outcome)
{
    struct mllp_trace whole, cut;
    struct outcome again;
    uint64_t before = seed;

    run(stream, lenient, 0, &whole, ret_outcome);
    run(stream, lenient, stream.length > WHOLE_CUTS ? 2 : 1, &cut, &again);
    if (strcmp(whole.text.data, cut.text.data) != 0)
        fail_msg("%s: MLLP_CORPUS_SEED=%llu\nwhole: %s\ncut: %s", name, (unsigned long long)before,
                 whole.text.data, cut.text.data);
    assert_string_equal(ret_outcome->answers, again.answers);
    assert_int_equal(ret_outcome->deliveries, again.deliveries);
    mllp_trace_free(&whole);
    mllp_trace_free(&cut);
}

/* "word" is one of the "a|b|c". */
static bool is_allowed(const char *allowed, const char *word)
{
    size_t length = strlen(word);

    for (const char *at = allowed; at != NULL; at = strchr(at, '|')) {
        if (*at == '|')
            at++;
        if (strncmp(at, word, length) == 0 && (at[length] == '|' || at[length] == '\0'))
            return true;
    }
    return false;
}

/* ---- what is expected ---- */

struct expected {
    const char *name; /* up to the first hyphen */
    int deliveries;
    const char *answers;
    const char *reasons; /* why frames were not taken: the header's problem */
    const char *lenient; /* "deliveries answers" where lenient_end makes a difference */
};

static const struct expected expectations[] = {
    {"f01", 0, "none", "", NULL},
    {"f02", 1, "AA", "", NULL},
    {"f03", 1, "AE,AA", "abandoned ok", "2 AA,AA"},
    {"f04", 0, "none", "", "1 AA"},
    {"f05", 0, "none", "", NULL},
    {"f06", 0, "none", "", "1 AA"},
    {"f07", 2, "AA,AA", "", NULL},
    {"f08", 0, "AE,AR", "abandoned ok,not-hl7", NULL},
    {"f09", 1, "AE,AA", "abandoned ok", NULL},
    {"f10", 0, "none", "", NULL},
    {"f11", 0, "none", "", NULL},
    {"f12", 0, "none", "", NULL},
    {"f13", 2, "AA,AA", "", NULL},
    {"f14", 3, "AA,AA,AA", "", NULL},
    {"f15", 1, "AA", "", NULL},
    {"f16", 2, "AA,AA", "", NULL},
    {"f17", 1, "AA", "", NULL},
    {"f18", 0, "AR", "unsafe-id", NULL},
    {"f19", 1, "AA", "", NULL},
    {"f20", 1, "AA", "", NULL},
    {"f21", 0, "none", "", NULL},
    {"f22", 0, "none", "", NULL},
    {"f23", 0, "none", "", NULL},
    {"f24", 0, "none", "", NULL},
    {"f25", 0, "none", "", "1 AA"},
    {"f26", 1, "AA", "", NULL},
    {"f27", 0, "AE", "abandoned ok", "1 AA"},
    {"f28", 2, "AA,AA", "", NULL},
    {"f29", 0, "none", "", NULL},
    {"f30", 0, "AR", "not-hl7", NULL},
    {"f31", 0, "none", "", NULL},
    {"f32", 1, "AA", "", NULL},
    {"h01", 0, "AR", "not-hl7", NULL},
    {"h02", 0, "AR", "not-hl7", NULL},
    {"h03", 0, "AR", "no-delimiters", NULL},
    {"h04", 0, "AR", "no-delimiters", NULL},
    {"h05", 0, "AR", "no-type", NULL},
    {"h06", 0, "AR", "no-type", NULL},
    {"h07", 0, "AR", "not-hl7", NULL},
    {"h08", 0, "AR", "no-type", NULL},
    {"h09", 1, "AA", "", NULL},
    {"h10", 1, "AA", "", NULL},
    {"h11", 1, "AA", "", NULL},
    {"h12", 0, "AR", "bad-encoding", NULL},
    {"h13", 0, "AR", "bad-encoding", NULL},
    {"h14", 0, "AR", "bad-separator", NULL},
    {"h15", 0, "AR", "no-delimiters", NULL},
    {"h16", 1, "AA", "", NULL},
    {"h17", 1, "AA", "", NULL},
    {"h18", 1, "AA", "", NULL},
    {"h19", 1, "AA", "", NULL},
    {"h20", 0, "AR", "not-hl7", NULL},
    {"h21", 0, "AR", "not-hl7", NULL},
    {"h22", 0, "AR", "not-hl7", NULL},
    {"h23", 0, "AR", "not-hl7", NULL},
    {"h24", 1, "AA", "", NULL},
    {"h25", 1, "AA", "", NULL},
    {"h26", 1, "AA", "", NULL},
    {"h27", 0, "none", "", NULL},
    {"h28", 0, "AR", "long-id", NULL},
    {"h29", 1, "AA", "", NULL},
    {"h30", 1, "AA", "", NULL},
    {"h31", 1, "AA", "", NULL},
    {"h32", 1, "AA", "", NULL},
    {"h33", 1, "AA", "", NULL},
    {"p01", 0, "none", "", NULL},
    {"p02", 0, "none", "", NULL},
    {"p03", 0, "none", "abandoned not-hl7", NULL},
    {"p04", 0, "none", "", NULL},
    {"p05", 0, "AR", "not-hl7", NULL},
    {"p06", 0, "AR", "not-hl7", NULL},
    {"p07", 1, "AA", "", NULL},
    {"p08", 0, "AR", "ok", NULL},
};

static const struct expected *find_expected(const char *name)
{
    for (size_t i = 0; i < sizeof expectations / sizeof expectations[0]; i++) {
        size_t length = strlen(expectations[i].name);
        if (strncmp(expectations[i].name, name, length) == 0 && name[length] == '-')
            return &expectations[i];
    }
    return NULL;
}

static void compare_with_table(const char *name, const struct outcome *strict,
                               const struct outcome *lenient)
{
    const struct expected *expected = find_expected(name);
    char first[96], second[96];

    snprintf(first, sizeof first, "%d %s", strict->deliveries, strict->answers);
    snprintf(second, sizeof second, "%d %s", lenient->deliveries, lenient->answers);
    if (expected == NULL || expected->deliveries != strict->deliveries ||
        strcmp(expected->answers, strict->answers) != 0 ||
        strcmp(expected->reasons, strict->reasons) != 0 ||
        strcmp(expected->lenient != NULL ? expected->lenient : first, second) != 0)
        fail_msg("%s: %s %s, lenient: %s", name, first, strict->reasons, second);
}

/* fields: name, bytes, category, what, careful, deliveries, replies, connection */
static void check_stream(const char *const *fields, struct span stream)
{
    struct outcome outcomes[2];
    char deliveries[16];

    assert_int_equal(stream.length, strtoul(fields[1], NULL, 10));
    for (int lenient = 0; lenient < 2; lenient++) {
        struct outcome *outcome = &outcomes[lenient];
        run_both_ways(fields[0], stream, lenient == 1, outcome);
        snprintf(deliveries, sizeof deliveries, "%d", outcome->deliveries);
        if (!is_allowed(fields[5], deliveries) || !is_allowed(fields[6], outcome->answers))
            fail_msg("%s%s: %s deliveries, %s; README.tsv allows %s, %s", fields[0],
                     lenient ? " (lenient)" : "", deliveries, outcome->answers, fields[5],
                     fields[6]);
    }
    compare_with_table(fields[0], &outcomes[0], &outcomes[1]);
}

/* f32: a good message with one field that makes it as long as README.tsv says. */
static void make_large_field(size_t length, struct buffer *out)
{
    static const char head[] = "\x0bMSH|^~\\&|SENDAPP|SENDFAC|RECVAPP|RECVFAC|20260101120000||"
                               "ORU^R01^ORU_R01|INVF32|P|2.5.1\rOBX|1|ED|X||";
    static const char tail[] = "||||||F\r\x1c\r";
    size_t fill = length - (sizeof head - 1) - (sizeof tail - 1);

    assert_int_equal(buffer_append(out, head, sizeof head - 1), 0);
    assert_int_equal(buffer_reserve(out, fill), 0);
    memset(out->data + out->length, 'A', fill);
    out->length += fill;
    assert_int_equal(buffer_append(out, tail, sizeof tail - 1), 0);
}

static void every_stream(void **state)
{
    struct corpus_table table;
    const char *fields[8];
    size_t streams = 0;
    char name[200];

    (void)state;
    assert_int_equal(corpus_table_open(&table, "invalid/README.tsv"), 0);
    while (corpus_table_next(&table, fields, 8)) {
        struct buffer stream;
        buffer_init(&stream, MAXIMUM);
        snprintf(name, sizeof name, "invalid/%s", fields[0]);
        if (strncmp(fields[0], "f32-", 4) == 0)
            make_large_field(strtoul(fields[1], NULL, 10), &stream);
        else
            assert_int_equal(corpus_read(name, &stream), 0);
        check_stream(fields, buffer_span(&stream));
        buffer_free(&stream);
        streams++;
    }
    corpus_table_close(&table);
    assert_int_equal(streams, sizeof expectations / sizeof expectations[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_stream)};
    const char *given = getenv("MLLP_CORPUS_SEED");

    seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL) * 2654435761u + 1;
    print_message("MLLP_CORPUS_SEED=%llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests_name("mllp_corpus", tests, NULL, NULL);
}
