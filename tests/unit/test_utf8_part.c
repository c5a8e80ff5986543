/* links: egress http spool loop hl7 base config */
/* wrap: malloc */
/* A message on its way to a store that takes only UTF-8: what is sent, what is refused, and the store's
 * answer on its way back. */
#include "egress/utf8_part.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define HEAD "MSH|^~\\&|A|B|C|D|||ADT^A01|M1|P|2.5"
#define UTF8 "UNICODE UTF-8"
#define ANY_SIZE 1000000

static int malloc_in = -1; /* calls until one fails; below 0: none does */

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
    return malloc_in >= 0 && malloc_in-- == 0 ? NULL : __real_malloc(size);
}

struct part_case {
    struct message *message;
    struct utf8_part made;
    struct verdict verdict;
    bool good;
};

static void make(struct part_case *each, const char *text, enum charset set, bool normalise,
                 int64_t maximum)
{
    char *body = strdup(text);

    *each = (struct part_case){.message = message_new("lab", "adt", body, strlen(text))};
    assert_non_null(each->message);
    each->message->character_set = (uint8_t)set;
    each->message->normalise_segment_ends = normalise;
    each->good =
        utf8_part_make(&each->made, each->message, each->message->body, maximum, &each->verdict);
}

static void finish(struct part_case *each)
{
    utf8_part_free(&each->made);
    verdict_clear(&each->verdict);
    message_release(&each->message);
}

/* The bytes that came are the bytes that are sent: no copy of them is made. */
static void nothing_is_copied(void **state)
{
    static const char *const texts[] = {HEAD "\rPID|1\r", HEAD "\rPID|M\xC3\xBCller\r",
                                        HEAD "||||||" UTF8 "\rPID|M\xC3\xBCller\r",
                                        "\xEF\xBB\xBF" HEAD "\rPID|1\r"};
    struct part_case each;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        make(&each, texts[i], CHARSET_NONE, false, ANY_SIZE);
        assert_true(each.good);
        assert_null(each.made.owned);
        assert_null(each.made.control_id);
        assert_ptr_equal(each.made.text.data + each.made.text.length,
                         each.message->body.data + each.message->body.length);
        assert_memory_equal(each.made.text.data, "MSH", 3);
        finish(&each);
    }
}

static void expect_text(const char *text, enum charset set, bool normalise, const char *wanted)
{
    struct part_case each;

    make(&each, text, set, normalise, (int64_t)strlen(wanted));
    if (!each.good)
        fail_msg("%s", each.verdict.reason);
    assert_true(span_equal_string(each.made.text, wanted));
    assert_true(span_equal_string(each.message->body, text)); /* the original stays */
    finish(&each);
    make(&each, text, set, normalise, (int64_t)strlen(wanted) - 1);
    assert_false(each.good);
    assert_int_equal(each.verdict.kind, VERDICT_REFUSED);
    assert_non_null(strstr(each.verdict.reason, "maximum_request_bytes"));
    finish(&each);
}

static void what_is_sent(void **state)
{
    (void)state;
    expect_text(HEAD "||||||8859/1\rPID|M\xFCller\r", CHARSET_NONE, false,
                HEAD "||||||" UTF8 "\rPID|Müller\r");
    expect_text(HEAD "\rPID|M\xFCller\r", CHARSET_8859_1, false,
                HEAD "||||||" UTF8 "\rPID|Müller\r");
    expect_text(HEAD "\r\nPID|M\xFCller\r\n", CHARSET_8859_1, true,
                HEAD "||||||" UTF8 "\rPID|Müller\r");
    expect_text(HEAD "\nPID|1\n", CHARSET_NONE, true, HEAD "\rPID|1\r");
    expect_text(HEAD "\rPID|1\r", CHARSET_NONE, false, HEAD "\rPID|1\r");
}

static void expect_refused(const char *text, enum charset set, const char *reason)
{
    struct part_case each;

    make(&each, text, set, false, ANY_SIZE);
    assert_false(each.good);
    assert_int_equal(each.verdict.kind, VERDICT_REFUSED);
    assert_true(each.verdict.about_message);
    assert_string_equal(each.verdict.reason, reason);
    assert_null(each.made.owned);
    finish(&each);
}

/* It was queued before its store demanded anything: a dead letter that says why, never a patch. */
static void what_cannot_be_sent(void **state)
{
    (void)state;
    expect_refused(HEAD "\rPID|M\xFCller\r", CHARSET_NONE,
                   "its bytes are not UTF-8, and its character set is not known (byte 41)");
    expect_refused(HEAD "||||||EBCDIC\rPID|M\xFCller\r", CHARSET_NONE,
                   "nothing can be converted from what MSH-18 names (byte 41)");
    expect_refused(HEAD "||||||" UTF8 "\rPID|M\xFCller\r", CHARSET_8859_1,
                   "it has bytes that its character set does not have (byte 60)");
    expect_refused(HEAD "\nPID|1\n", CHARSET_NONE,
                   "its segments end with LF, and the store takes only CR (byte 35)");
}

/* A store that has seen another MSH-10 than the sender's bytes answers to that. */
static void the_control_id_as_it_is_sent(void **state)
{
    struct part_case each;

    (void)state;
    make(&each, "MSH|^~\\&|A|B|C|D|||ADT^A01|M\xFC|P|2.5||||||8859/1\r", CHARSET_NONE, false,
         ANY_SIZE);
    assert_true(each.good);
    utf8_part_release(&each.made);
    assert_null(each.made.text.data);
    assert_true(
        span_equal_string(span_of(each.made.control_id, each.made.control_id_length), "M\xC3\xBC"));
    finish(&each);
}

#define ACK(set, id, text) "MSH|^~\\&|C|D|A|B|||ACK|9|P|2.5" set "\rMSA|AE|" id "|" text "\r"

static void expect_answer(struct part_case *each, const char *answer, bool hl7, const char *wanted)
{
    each->verdict.answer = answer_bytes_new(span_of_string(answer));
    each->verdict.answer_is_hl7 = hl7;
    utf8_part_answer(&each->made, each->message->body, &each->verdict);
    assert_int_equal(each->verdict.answer_is_hl7, hl7 && wanted != NULL);
    assert_true(span_equal_string(span_of(each->verdict.answer->data, each->verdict.answer->length),
                                  wanted == NULL ? answer : wanted));
    answer_bytes_release(&each->verdict.answer);
}

static void the_answer_in_the_senders_set(void **state)
{
    struct part_case each;

    (void)state;
    make(&each, "MSH|^~\\&|A|B|C|D|||ADT^A01|M\xFC|P|2.5||||||8859/1\r", CHARSET_NONE, false,
         ANY_SIZE);
    assert_true(each.good);
    utf8_part_release(&each.made);
    expect_answer(&each, ACK("||||||" UTF8, "M\xC3\xBC", "f\xC3\xBCr"), true,
                  ACK("||||||8859/1", "M\xFC", "f\xFCr"));
    /* No euro in Latin-1: kept as it is, and not passed on. */
    expect_answer(&each, ACK("", "M\xC3\xBC", "\xE2\x82\xAC"), true, NULL);
    /* An error's body is nobody's answer. */
    expect_answer(&each, "{\"error\":\"f\xC3\xBCr\"}", false, "{\"error\":\"f\xC3\xBCr\"}");
    utf8_part_answer(&each.made, each.message->body, &each.verdict); /* there is none */
    assert_null(each.verdict.answer);
    finish(&each);
    make(&each, HEAD "\rPID|1\r", CHARSET_NONE, false, ANY_SIZE);
    expect_answer(&each, ACK("", "M1", "f\xC3\xBCr"), true, ACK("", "M1", "f\xC3\xBCr"));
    finish(&each);
}

/* Another try, and no half of anything. */
static void out_of_memory(void **state)
{
    int calls = 0;

    (void)state;
    for (bool good = false; !good; calls++) {
        char *body = strdup(HEAD "||||||8859/1\rPID|\xFC\r");
        struct part_case each = {.message = message_new("lab", "adt", body, strlen(body))};

        malloc_in = calls;
        good =
            utf8_part_make(&each.made, each.message, each.message->body, ANY_SIZE, &each.verdict);
        malloc_in = -1;
        assert_true(good || each.verdict.kind == VERDICT_RETRY);
        assert_true(good || (each.made.owned == NULL && each.made.control_id == NULL));
        finish(&each);
    }
    assert_true(calls > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_copied),
        cmocka_unit_test(what_is_sent),
        cmocka_unit_test(what_cannot_be_sent),
        cmocka_unit_test(the_control_id_as_it_is_sent),
        cmocka_unit_test(the_answer_in_the_senders_set),
        cmocka_unit_test(out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
