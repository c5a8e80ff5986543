/* links: hl7 base */
/* Answers that other systems' tests expect (tests/data/oracles/README.tsv). */
#include "hl7/ack.h"
#include "support/corpus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define NOW 1767268800000 /* 20260101120000+0000 */

static void read_oracle(const char *name, struct buffer *out)
{
    char path[200];

    snprintf(path, sizeof path, "oracles/%s", name);
    buffer_init(out, 1u << 20);
    assert_int_equal(corpus_read(path, out), 0);
}

static void build(struct span request, enum ack_code code, const struct ack_error_detail *error,
                  struct buffer *out)
{
    struct msh msh;

    buffer_init(out, 1u << 20);
    assert_int_equal(msh_read(request, &msh, NULL), MSH_OK);
    struct ack_parameters parameters = {
        .code = code, .original = &msh, .control_id = "<CID>", .wall_ms = NOW, .error = error};
    assert_int_equal(ack_build(out, &parameters), 0);
}

/* <TS> stands for MSH-7, and the oracle's last segment has no end. */
static void normalise(const struct buffer *oracle, struct buffer *out)
{
    struct span text = buffer_span(oracle);
    const char *stamp = memmem(text.data, text.length, "<TS>", 4);

    buffer_init(out, 1u << 20);
    assert_non_null(stamp);
    size_t before = (size_t)(stamp - text.data);
    assert_int_equal(buffer_append(out, text.data, before), 0);
    assert_int_equal(buffer_append_string(out, "20260101120000+0000"), 0);
    assert_int_equal(buffer_append(out, stamp + 4, text.length - before - 4), 0);
    if (out->data[out->length - 1] != '\r')
        assert_int_equal(buffer_append_byte(out, '\r'), 0);
}

static void expect_exact(const char *id, enum ack_code code, const struct ack_error_detail *error)
{
    struct buffer request, oracle, expected, built;
    char name[100];

    snprintf(name, sizeof name, "%s.request.hl7", id);
    read_oracle(name, &request);
    snprintf(name, sizeof name, "%s.ack.hl7", id);
    read_oracle(name, &oracle);
    normalise(&oracle, &expected);
    build(buffer_span(&request), code, error, &built);
    assert_int_equal(built.length, expected.length);
    assert_memory_equal(built.data, expected.data, expected.length);
    buffer_free(&request);
    buffer_free(&oracle);
    buffer_free(&expected);
    buffer_free(&built);
}

static void exact_oracles(void **state)
{
    struct ack_error_detail error = {"PID^1^5", ACK_ERROR_REQUIRED_FIELD, 'E', NULL, NULL};

    (void)state;
    expect_exact("cosyte-aa", ACK_AA, NULL);
    expect_exact("cosyte-ae-err", ACK_AE, &error);
}

/* id: the first column. MSA-1 is what our rules make of the request where the pair agrees with
 * them; MSA-2 always. */
static void check_pair(const char *id)
{
    struct buffer request, oracle, built;
    struct ack_reply theirs, ours;
    char name[100];

    snprintf(name, sizeof name, "%s.request.hl7", id);
    read_oracle(name, &request);
    snprintf(name, sizeof name, "%s.ack.hl7", id);
    read_oracle(name, &oracle);
    assert_int_equal(ack_read(buffer_span(&oracle), &theirs), 0);
    build(buffer_span(&request), theirs.code, NULL, &built);
    assert_int_equal(ack_read(buffer_span(&built), &ours), 0);
    assert_int_equal(ours.code, theirs.code);
    assert_true(span_equal(ours.control_id, theirs.control_id));
    assert_true(span_equal_string(ours.header.message_code, "ACK"));
    buffer_free(&request);
    buffer_free(&oracle);
    buffer_free(&built);
}

static void every_pair(void **state)
{
    struct corpus_table table;
    const char *fields[4];
    int pairs = 0;

    (void)state;
    assert_int_equal(corpus_table_open(&table, "oracles/README.tsv"), 0);
    while (corpus_table_next(&table, fields, 4)) {
        check_pair(fields[0]);
        pairs++;
    }
    corpus_table_close(&table);
    assert_int_equal(pairs, 17);
}

/* camel's junk: an MSH that isn't terminated leaks what follows into the answer. A header that has
 * swallowed EVN's text has a MSH-18 that isn't one... and nothing behind MSH-18 may come back. */
static void nothing_leaks(void **state)
{
    static const char *const body[] = {"REG_UPDATE", "RISTECH^RADIOLOGY", "20150107161440"};
    struct buffer request, built;

    (void)state;
    read_oracle("camel-anti-no-msh-cr.request.hl7", &request);
    build(buffer_span(&request), ACK_AA, NULL, &built);
    for (size_t i = 0; i < sizeof body / sizeof body[0]; i++)
        assert_null(memmem(built.data, built.length, body[i], strlen(body[i])));
    buffer_free(&request);
    buffer_free(&built);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_oracles),
        cmocka_unit_test(every_pair),
        cmocka_unit_test(nothing_leaks),
    };

    return cmocka_run_group_tests_name("oracles", tests, NULL, NULL);
}
