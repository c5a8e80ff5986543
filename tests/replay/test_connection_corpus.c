/* links: ingress spool tls admission hl7 loop base config certs */
/* Every message of the corpus through a connection: the answers of tests/data/answers.tsv, and the
 * sender's bytes, byte for byte, in the spool's hands. */
#include "support/corpus.h"
#include "support/replay_connection.h"

#define CORPUS_FILES 398
#define MPL_FILES 41 /* not copied: tests/data/README.md */

static int left_out;

/* "%20" and the like back to bytes. */
static struct span unescape(const char *text, char *ret_bytes)
{
    size_t length = 0;
    unsigned value;

    for (; *text != '\0'; text++) {
        if (*text == '%' && sscanf(text + 1, "%2x", &value) == 1) {
            ret_bytes[length++] = (char)value;
            text += 2;
        } else {
            ret_bytes[length++] = *text;
        }
    }
    return span_of(ret_bytes, length);
}

static void check_delivery(const char *file, struct replay *replay, struct span content,
                           bool expected)
{
    struct spool_put *put = replay_next_put(replay);

    if ((put != NULL) != expected) {
        fail_msg("%s: %s", file, expected ? "not delivered" : "delivered");
    }
    if (put != NULL && !span_equal(put->message->body, content)) {
        fail_msg("%s: the bytes were changed", file);
    }
    assert_null(replay_next_put(replay));
}

static void check_answers(const char *file, struct replay *replay, unsigned client,
                          const char *acks, struct span msa2)
{
    struct ack_reply reply;
    struct span frame = {NULL, 0};
    char got[32] = "";
    size_t used = 0;

    while (replay_next_frame(replay, client, &frame)) {
        if (ack_read(frame, &reply) != 0 || !span_equal(reply.control_id, msa2)) {
            fail_msg("%s: not an answer to it: %.*s", file, (int)frame.length, frame.data);
        }
        assert_true(reply.header.control_id.length > 0 && reply.header.control_id.length <= 20);
        used += (size_t)snprintf(got + used, sizeof(got) - used, "%s%s", used == 0 ? "" : ",",
                                 ack_code_text(reply.code));
        assert_true(used < sizeof(got));
    }
    if (strcmp(used == 0 ? "none" : got, acks) != 0) {
        fail_msg("%s: %s, not %s", file, used == 0 ? "none" : got, acks);
    }
}

/* fields: file, envelope, acks, msa2, deliveries, reason */
static void check_message(const char *const *fields, struct span content)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", ""));
    unsigned client = replay_connect(replay, "10.0.0.1");
    struct buffer frame;
    char bytes[2048];

    assert_true(strlen(fields[3]) < sizeof(bytes));
    replay->automatic = true;
    buffer_init(&frame, 32u << 20);
    assert_int_equal(mllp_encode(&frame, content), 0);
    replay_receive(replay, client, frame.data, frame.length);
    check_delivery(fields[0], replay, content, fields[4][0] == '1');
    check_answers(fields[0], replay, client, fields[2], unescape(fields[3], bytes));
    replay_expect_state(replay, client, CONNECTION_OPEN);
    buffer_free(&frame);
    replay_free(&replay);
}

static void every_message(void **state)
{
    struct corpus_table table;
    const char *fields[6];
    int messages = 0;

    (void)state;
    assert_int_equal(corpus_table_open(&table, "answers.tsv"), 0);
    while (corpus_table_next(&table, fields, 6)) {
        struct buffer content;
        buffer_init(&content, 16u << 20);
        if (corpus_read(fields[0], &content) == 0) {
            check_message(fields, buffer_span(&content));
        } else {
            left_out++;
        }
        messages += strncmp(fields[0], "messages/", 9) == 0;
        buffer_free(&content);
    }
    corpus_table_close(&table);
    assert_int_equal(messages, CORPUS_FILES);
    assert_true(left_out == 0 || left_out == MPL_FILES);
}

/* Not a test of its own: makes what every_message() had to leave out visible as a skip. */
static void files_that_are_not_copied(void **state)
{
    (void)state;
    if (left_out > 0) {
        print_message("%d files under the MPL are not in tests/data; set HL7_CORPUS\n", left_out);
        skip();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message),
        cmocka_unit_test(files_that_are_not_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
