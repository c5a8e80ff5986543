/* links: ingress spool tls admission hl7 loop base config certs */
/* wrap: iconv_open */
/* A listener whose stores take only UTF-8, and no more than so many bytes: what they would refuse is
 * refused here, before any positive acknowledgment. */
#include "hl7/charset.h"
#include "support/corpus.h"
#include "support/exchange_case.h"

#include <errno.h>
#include <iconv.h>

#define ANY_SIZE 1000000

static void begin(struct exchange_case *each, int64_t maximum)
{
    exchange_case_init(each);
    each->policy.demand = (struct config_demand){.utf8 = true, .maximum_message_bytes = maximum};
}

static void expect_taken(struct exchange_case *each, struct span content)
{
    exchange_case_judge_span(each, content);
    if (each->action != EXCHANGE_PUT)
        fail_msg("%.*s is refused: %s", (int)content.length, content.data,
                 reason_words(each->exchange.result.reason));
    /* What is kept is what came. */
    assert_true(span_equal(each->exchange.message->body, content));
}

/* Refused with AE or AR, ERR-3 and ERR-2, and where it is; no content in the answer. */
static void expect_refused(struct exchange_case *each, struct span content, const char *code,
                           int error, const char *location, enum reason reason, long offset)
{
    struct exchange_result *result = &each->exchange.result;
    struct ack_reply reply;
    char at[32];

    exchange_case_judge_span(each, content);
    assert_int_equal(each->action, EXCHANGE_ANSWER);
    assert_string_equal(reason_code(result->reason), reason_code(reason));
    assert_true(result->not_put);
    assert_false(result->unavailable);
    exchange_case_answer(each, result);
    exchange_case_ack(each, code, "M1", &reply);
    assert_int_equal(reply.error_code, error);
    assert_true(span_equal_string(reply.error_location, location));
    assert_int_equal(result->has_offset, offset >= 0);
    if (offset >= 0) {
        assert_int_equal(result->offset, offset);
        snprintf(at, sizeof at, "|byte %ld|", offset);
        assert_non_null(memmem(reply.errors.data, reply.errors.length, at, strlen(at)));
    }
    assert_null(memmem(each->out.data, each->out.length, "SECRET", 6));
    exchange_case_no_frame(each);
}

#define SPAN(text) span_of(text, sizeof(text) - 1)
#define AT(text) ((long)sizeof(text) - 1)
#define HEAD EXCHANGE_MSH("FAC", "M1")

static void what_is_taken(void **state)
{
    struct exchange_case each;

    (void)state;
    begin(&each, ANY_SIZE);
    expect_taken(&each, SPAN(HEAD "\rPID|1\r"));
    expect_taken(&each, SPAN(HEAD "\rPID|M\xC3\xBCller\r"));
    expect_taken(&each, SPAN(HEAD "||||||UNICODE UTF-8\rPID|M\xC3\xBCller\r"));
    expect_taken(&each, SPAN(HEAD "||||||8859/1\rPID|M\xFCller\r"));
    expect_taken(&each, SPAN(HEAD "||||||~ISO IR87\rPID|\x1B$B;3ED\x1B(B\r"));
    each.peer.character_set = CHARSET_WINDOWS_1252;
    expect_taken(&each, SPAN(HEAD "\rPID|M\xFCller \x80\r"));
    expect_taken(&each, SPAN(HEAD "||||||8859/1\rPID|M\xFCller \x80\r"));
    each.listener.normalise_segment_ends = true;
    expect_taken(&each, SPAN(HEAD "\r\nPID|M\xFCller\r\n"));
    exchange_case_free(&each);
}

/* By whatever the settings say later: what was said when it came goes with the message. */
static void what_goes_with_the_message(void **state)
{
    struct exchange_case each;

    (void)state;
    begin(&each, ANY_SIZE);
    expect_taken(&each, SPAN(HEAD "\rPID|1\r"));
    assert_int_equal(each.exchange.message->character_set, CHARSET_NONE);
    assert_false(each.exchange.message->normalise_segment_ends);
    each.policy.demand =
        (struct config_demand){.utf8 = false}; /* it may be moved to another store */
    each.peer.character_set = CHARSET_8859_2;
    each.listener.normalise_segment_ends = true;
    expect_taken(&each, SPAN(HEAD "\rPID|1\r"));
    assert_int_equal(each.exchange.message->character_set, CHARSET_8859_2);
    assert_true(each.exchange.message->normalise_segment_ends);
    exchange_case_free(&each);
}

static void nobody_knows_the_set(void **state)
{
    struct exchange_case each;

    (void)state;
    begin(&each, ANY_SIZE);
    expect_refused(&each, SPAN(HEAD "\rPID|SECRET|M\xFCller\r"), "AE", 102, "MSH^1^18",
                   REASON_CHARACTER_SET_UNKNOWN, AT(HEAD "\rPID|SECRET|M"));
    expect_refused(&each, SPAN(HEAD "\rPID|SECRET|\x1B$B;3ED\x1B(B\r"), "AE", 102, "MSH^1^18",
                   REASON_CHARACTER_SET_UNKNOWN, AT(HEAD "\rPID|SECRET|"));
    expect_refused(&each, SPAN(HEAD "||||||EBCDIC\rPID|SECRET|M\xFCller\r"), "AE", 103, "MSH^1^18",
                   REASON_CHARACTER_SET_UNSUPPORTED, AT(HEAD "||||||"));
    expect_refused(&each, SPAN(HEAD "||||||8859/1~8859/2\rPID|SECRET|M\xFCller\r"), "AE", 103,
                   "MSH^1^18", REASON_CHARACTER_SET_UNSUPPORTED, AT(HEAD "||||||"));
    exchange_case_free(&each);
}

static void bytes_that_the_set_lacks(void **state)
{
    struct exchange_case each;

    (void)state;
    begin(&each, ANY_SIZE);
    each.peer.character_set = CHARSET_8859_2; /* MSH-18 goes before it */
    expect_refused(&each, SPAN(HEAD "||||||UNICODE UTF-8\rPID|SECRET|M\xFCller\r"), "AE", 102,
                   "MSH^1^18", REASON_CHARACTER_SET_BROKEN,
                   AT(HEAD "||||||UNICODE UTF-8\rPID|SECRET|M"));
    expect_refused(&each, SPAN(HEAD "||||||8859/1\rPID|SECRET|\x93\r"), "AE", 102, "MSH^1^18",
                   REASON_CHARACTER_SET_BROKEN, AT(HEAD "||||||8859/1\rPID|SECRET|"));
    expect_refused(&each, SPAN(HEAD "||||||8859/1\rPID|SECRET|\xFC \x80\r"), "AE", 102, "MSH^1^18",
                   REASON_CHARACTER_SET_BROKEN, AT(HEAD "||||||8859/1\rPID|SECRET|\xFC "));
    exchange_case_free(&each);
}

static void segment_ends(void **state)
{
    struct exchange_case each;

    (void)state;
    begin(&each, ANY_SIZE);
    expect_refused(&each, SPAN(HEAD "\nPID|SECRET\n"), "AE", 100, "", REASON_SEGMENT_ENDS,
                   AT(HEAD));
    expect_refused(&each, SPAN(HEAD "\r\nPID|SECRET\r\n"), "AE", 100, "", REASON_SEGMENT_ENDS,
                   AT(HEAD));
    exchange_case_free(&each);
}

/* To the byte, as it is sent: a set's letters are longer in UTF-8, and MSH-18 is there besides. */
static void sizes(void **state)
{
    static const char latin[] = HEAD "||||||8859/1\rPID|\xFC\xFC\xFC\r";
    static const char utf8[] = HEAD "||||||UNICODE UTF-8\rPID|\xC3\xBC\xC3\xBC\xC3\xBC\r";
    static const char lines[] = HEAD "\r\nPID|1\r\n", normal[] = HEAD "\rPID|1\r";
    struct exchange_case each;

    (void)state;
    begin(&each, (int64_t)strlen(utf8));
    expect_taken(&each, span_of_string(utf8));
    expect_taken(&each, span_of_string(latin));
    each.policy.demand.maximum_message_bytes--;
    expect_refused(&each, span_of_string(utf8), "AR", 207, "", REASON_TOO_LARGE_FOR_STORE, -1);
    expect_refused(&each, span_of_string(latin), "AR", 207, "", REASON_TOO_LARGE_FOR_STORE, -1);
    each.listener.normalise_segment_ends = true;
    each.policy.demand.maximum_message_bytes = (int64_t)strlen(normal);
    expect_taken(&each, span_of_string(lines));
    each.policy.demand = (struct config_demand){.maximum_message_bytes = (int64_t)strlen(lines)};
    expect_taken(&each, span_of_string(lines));
    each.policy.demand.maximum_message_bytes--;
    expect_refused(&each, span_of_string(lines), "AR", 207, "", REASON_TOO_LARGE_FOR_STORE, -1);
    exchange_case_free(&each);
}

#define SECOND EXCHANGE_MSH("FAC", "M2")

/* Each message of a batch by itself: one that can't go refuses the whole, as one. */
static void batches(void **state)
{
    struct exchange_case each;

    (void)state;
    begin(&each, 300);
    expect_taken(&each, SPAN("BHS|^~\\&\r" HEAD "||||||8859/1\rPID|\xFC\r" SECOND
                             "||||||UNICODE UTF-8\rPID|\xC3\xBC\rBTS|2\r"));
    expect_refused(&each, SPAN(HEAD "\rPID|1\r" SECOND "\rPID|SECRET|\xFC\r"), "AE", 102,
                   "MSH^1^18", REASON_CHARACTER_SET_UNKNOWN,
                   AT(HEAD "\rPID|1\r" SECOND "\rPID|SECRET|"));
    expect_refused(&each, SPAN(HEAD "||||||8859/1\rPID|\xFC\r" SECOND "||||||8859/1\rPID|\x80\r"),
                   "AE", 102, "MSH^1^18", REASON_CHARACTER_SET_BROKEN,
                   AT(HEAD "||||||8859/1\rPID|\xFC\r" SECOND "||||||8859/1\rPID|"));
    /* Together they are larger than the store takes of one; a single one is not. */
    each.policy.demand.maximum_message_bytes = AT(HEAD "\rPID|1\r");
    expect_taken(&each, SPAN(HEAD "\rPID|1\r" SECOND "\rPID|2\r"));
    expect_refused(&each, SPAN(HEAD "\rPID|1\r" SECOND "\rPID|22\r"), "AR", 207, "",
                   REASON_TOO_LARGE_FOR_STORE, -1);
    each.policy.demand.maximum_message_bytes = ANY_SIZE;
    expect_taken(&each, SPAN("BHS|^~\\&|A|FAC\rBTS|0\r"));
    exchange_case_free(&each);
}

static void enhanced_mode(void **state)
{
    struct exchange_case each;
    char text[64];

    (void)state;
    begin(&each, ANY_SIZE);
    exchange_case_judge_span(&each, SPAN(HEAD "|||AL|AL\rPID|\xFC\r"));
    assert_int_equal(each.action, EXCHANGE_ANSWER);
    exchange_case_answer(&each, &each.exchange.result);
    exchange_case_describe(&each, text);
    assert_string_equal(text, "CE");
    each.listener.on_refusal = CONFIG_ON_REFUSAL_CLOSE;
    exchange_case_judge_span(&each, SPAN(HEAD "\rPID|\xFC\r"));
    exchange_case_answer(&each, &each.exchange.result);
    exchange_case_describe(&each, text);
    assert_string_equal(text, "close character-set-unknown");
    exchange_case_free(&each);
}

/* A number that was not taken is the one that is expected still. */
static void sequence_numbers(void **state)
{
    struct exchange_case each;

    (void)state;
    begin(&each, ANY_SIZE);
    each.listener.sequence_numbers = true;
    each.sequence_last = 6;
    exchange_case_judge_span(&each, SPAN(HEAD "|7\rPID|\xFC\r"));
    assert_int_equal(each.action, EXCHANGE_ANSWER);
    assert_int_equal(each.exchange.result.reason, REASON_CHARACTER_SET_UNKNOWN);
    assert_false(each.exchange.sequence_set);
    exchange_case_judge_span(&each, SPAN(HEAD "|7\rPID|\xC3\xBC\r"));
    assert_int_equal(each.action, EXCHANGE_PUT);
    assert_true(each.exchange.sequence_set);
    exchange_case_free(&each);
}

/* A message that waits for its turn while a reload leads its listener to another store. */
static void asked_again(void **state)
{
    struct exchange_case each;
    bool meets = false;

    (void)state;
    exchange_case_init(&each);
    exchange_case_judge_span(&each, SPAN(HEAD "\rPID|\xFC\r"));
    assert_int_equal(each.action, EXCHANGE_PUT); /* nobody demands anything */
    assert_int_equal(exchange_meets(&each.exchange, &each.policy.demand, &meets), 0);
    assert_true(meets);
    each.policy.demand = (struct config_demand){.utf8 = true, .maximum_message_bytes = ANY_SIZE};
    assert_int_equal(exchange_meets(&each.exchange, &each.policy.demand, &meets), 0);
    assert_false(meets);
    assert_int_equal(each.exchange.result.reason, REASON_CHARACTER_SET_UNKNOWN);
    exchange_case_judge_span(&each, SPAN(HEAD "\rPID|\xC3\xBC\r"));
    assert_int_equal(each.action, EXCHANGE_PUT);
    each.policy.demand.maximum_message_bytes = 20;
    assert_int_equal(exchange_meets(&each.exchange, &each.policy.demand, &meets), 0);
    assert_false(meets);
    assert_int_equal(each.exchange.result.reason, REASON_TOO_LARGE_FOR_STORE);
    exchange_case_free(&each);
}

static int lacking; /* errno; 0: iconv lacks nothing */

iconv_t __real_iconv_open(const char *to, const char *from);
iconv_t __wrap_iconv_open(const char *to, const char *from);

iconv_t __wrap_iconv_open(const char *to, const char *from)
{
    errno = lacking;
    return lacking != 0 ? (iconv_t)-1 : __real_iconv_open(to, from);
}

/* The message is not at fault: by on_unavailable, so that its sender keeps it. */
static void a_system_that_cannot_convert(void **state)
{
    static const char latin[] = HEAD "||||||8859/1\rPID|\xFC\r";
    struct exchange_case each;
    char text[64], *body;

    (void)state;
    begin(&each, ANY_SIZE);
    lacking = EINVAL;
    exchange_case_judge(&each, latin);
    assert_int_equal(each.action, EXCHANGE_ANSWER);
    exchange_case_answer(&each, &each.exchange.result);
    exchange_case_describe(&each, text);
    assert_string_equal(text, "close character-set-unsupported");
    each.listener.on_unavailable = CONFIG_ON_UNAVAILABLE_NACK;
    exchange_case_judge(&each, latin);
    exchange_case_answer(&each, &each.exchange.result);
    exchange_case_describe(&each, text);
    assert_string_equal(text, "AE");
    lacking = EMFILE; /* or for want of something that another moment has */
    exchange_clear(&each.exchange);
    body = strdup(latin);
    assert_int_equal(exchange_judge(&each.exchange, &each.policy, body, strlen(latin), 7,
                                    EXCHANGE_WALL_MS, SEQUENCE_NONE, &each.action),
                     -ENOMEM);
    assert_null(each.exchange.message);
    lacking = 0;
    exchange_case_free(&each);
}

/* All public messages that there are: one of them is in Latin-1 and doesn't say so. */
static void the_corpus(void **state)
{
    struct corpus_table table;
    const char *fields[1];
    size_t taken = 0, latin = 0;
    struct exchange_case each;

    (void)state;
    begin(&each, ANY_SIZE);
    assert_int_equal(corpus_table_open(&table, "MANIFEST.tsv"), 0);
    while (corpus_table_next(&table, fields, 1)) {
        struct buffer message;

        buffer_init(&message, 16u << 20);
        if (corpus_read(fields[0], &message) == 0) {
            exchange_case_judge_span(&each, buffer_span(&message));
            taken += each.action == EXCHANGE_PUT;
            if (each.action == EXCHANGE_ANSWER && each.exchange.result.has_offset) {
                assert_non_null(strstr(fields[0], "a40-iso-8859-1"));
                assert_int_equal(each.exchange.result.reason, REASON_CHARACTER_SET_UNKNOWN);
                each.peer.character_set = CHARSET_8859_1;
                expect_taken(&each, buffer_span(&message));
                each.peer.character_set = CHARSET_NONE;
                latin++;
            }
        }
        buffer_free(&message);
    }
    corpus_table_close(&table);
    exchange_case_free(&each);
    assert_true(taken > 250);
    assert_int_equal(latin, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_taken),
        cmocka_unit_test(what_goes_with_the_message),
        cmocka_unit_test(nobody_knows_the_set),
        cmocka_unit_test(bytes_that_the_set_lacks),
        cmocka_unit_test(segment_ends),
        cmocka_unit_test(sizes),
        cmocka_unit_test(batches),
        cmocka_unit_test(enhanced_mode),
        cmocka_unit_test(sequence_numbers),
        cmocka_unit_test(asked_again),
        cmocka_unit_test(a_system_that_cannot_convert),
        cmocka_unit_test(the_corpus),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
