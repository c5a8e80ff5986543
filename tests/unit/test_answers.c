/* links: hl7 base */
/* What the codecs decide for every message of the corpus, against tests/data/answers.tsv, which a
 * script made from the rules. */
#include "hl7/ack.h"
#include "hl7/batch.h"
#include "hl7/mllp.h"
#include "support/corpus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define CORPUS_FILES 398
#define MPL_FILES 41 /* not copied: tests/data/README.md */

static int left_out;

struct answer {
    const char *envelope, *reason;
    char acks[16];
    int deliveries;
    struct msh header;
    struct span msa2;
    enum ack_outcome outcome;
    int error;
};

static const char *problem_reason(enum msh_problem problem)
{
    switch (problem) {
    case MSH_NO_MESSAGE_TYPE:
        return "message-type-missing";
    case MSH_CONTROL_ID_TOO_LONG:
        return "control-id-too-long";
    default:
        return "msh-unreadable";
    }
}

static void write_plan(struct ack_plan plan, char *ret_text, size_t size)
{
    snprintf(ret_text, size, "%s%s%s", plan.accept ? ack_code_text(plan.accept_code) : "",
             plan.accept && plan.application ? "," : "",
             plan.application ? ack_code_text(plan.application_code) : "");
    if (ret_text[0] == '\0')
        snprintf(ret_text, size, "none");
}

/* A listener with the settings that answers.tsv names. */
static void decide(struct span content, struct answer *answer)
{
    static const char *const envelopes[] = {"none", "batch", "file"};
    struct batch batch;
    const char *location;

    enum msh_problem problem = batch_read(content, &batch, NULL);
    bool acknowledgment = problem == MSH_OK && msh_is_acknowledgment(&batch.header);
    *answer = (struct answer){.envelope = envelopes[batch.envelope],
                              .header = batch.header,
                              .msa2 = batch.header.control_id,
                              .reason = "-"};
    if (problem != MSH_OK) {
        answer->outcome = ACK_OUTCOME_REJECT;
        answer->reason = problem_reason(problem);
        msh_problem_error(problem, &location, &answer->error);
    } else if (acknowledgment) {
        answer->reason = "acknowledgment";
    } else if (answer->msa2.length == 0) {
        answer->msa2 = batch.control_id;
    }
    answer->deliveries = problem == MSH_OK && !acknowledgment;
    write_plan(ack_decide(&answer->header, ACK_MODE_MESSAGE, answer->outcome, answer->error),
               answer->acks, sizeof answer->acks);
}

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

/* The answer as it leaves: one frame, readable, its code and MSA-2 the expected bytes. */
static void check_built(const char *name, const struct answer *answer, enum ack_code code)
{
    struct ack_parameters parameters = {.code = code,
                                        .original = &answer->header,
                                        .control_id_override = answer->msa2,
                                        .control_id = "N1",
                                        .wall_ms = 1767268800000};
    struct ack_reply reply;
    struct buffer out;

    buffer_init(&out, 1u << 20);
    assert_int_equal(ack_build(&out, &parameters), 0);
    if (ack_read(buffer_span(&out), &reply) != 0 || reply.code != code ||
        !span_equal(reply.control_id, answer->msa2))
        fail_msg("%s: the answer can't be read back: %.*s", name, (int)out.length, out.data);
    if (answer->header.field != '\0') {
        assert_true(span_equal(reply.header.encoding, answer->header.encoding));
        assert_true(span_equal(reply.header.sending_facility, answer->header.receiving_facility));
        assert_true(span_equal(reply.header.version, answer->header.version));
        assert_true(span_equal(reply.header.character_set, answer->header.character_set));
    }
    assert_int_equal(reply.header.accept, MSH_CONDITION_EMPTY);
    buffer_free(&out);
}

/* fields: file, envelope, acks, msa2, deliveries, reason */
static void check_row(const char *const *fields, struct span content)
{
    char bytes[2048];
    struct answer answer;

    assert_true(strlen(fields[3]) < sizeof bytes);
    struct span msa2 = unescape(fields[3], bytes);
    decide(content, &answer);
    if (strcmp(answer.envelope, fields[1]) != 0 || strcmp(answer.acks, fields[2]) != 0 ||
        !span_equal(answer.msa2, msa2) || answer.deliveries != strtol(fields[4], NULL, 10) ||
        strcmp(answer.reason, fields[5]) != 0)
        fail_msg("%s: %s, %s, %.*s, %d, %s", fields[0], answer.envelope, answer.acks,
                 (int)answer.msa2.length, answer.msa2.data, answer.deliveries, answer.reason);
    for (int code = ACK_AA; code < ACK_CODE_UNKNOWN; code++)
        check_built(fields[0], &answer, (enum ack_code)code);
}

static int count_message(struct span message, size_t index, void *context)
{
    struct buffer *joined = context;

    (void)index;
    return buffer_append(joined, message.data, message.length);
}

/* A frame of one message is one message, byte for byte; a batch's messages lie in the frame. */
static void check_bytes(const char *name, struct span content)
{
    struct buffer joined;
    struct batch batch;

    buffer_init(&joined, content.length);
    enum msh_problem problem = batch_read(content, &batch, NULL);
    assert_int_equal(batch_each(content, count_message, &joined), 0);
    if (problem == MSH_OK && batch.envelope == MSH_ENVELOPE_NONE &&
        !span_equal(buffer_span(&joined), content))
        fail_msg("%s: %zu of %zu bytes", name, joined.length, content.length);
    buffer_free(&joined);
}

static void every_answer(void **state)
{
    struct corpus_table table;
    const char *fields[6];
    int messages = 0;

    (void)state;
    assert_int_equal(corpus_table_open(&table, "answers.tsv"), 0);
    while (corpus_table_next(&table, fields, 6)) {
        struct buffer content;
        buffer_init(&content, 16u << 20);
        int result = corpus_read(fields[0], &content);
        if (result == 0) {
            check_row(fields, buffer_span(&content));
            check_bytes(fields[0], buffer_span(&content));
        } else {
            print_message("left out %s: not in tests/data (licence) nor in HL7_CORPUS\n",
                          fields[0]);
            left_out++;
        }
        messages += strncmp(fields[0], "messages/", 9) == 0;
        buffer_free(&content);
    }
    corpus_table_close(&table);
    assert_int_equal(messages, CORPUS_FILES);
    assert_true(left_out == 0 || left_out == MPL_FILES);
}

/* Not a test of its own: makes what every_answer() had to leave out visible as a skip. */
static void files_that_are_not_copied(void **state)
{
    (void)state;
    if (left_out > 0) {
        print_message("%d files under the MPL are not in tests/data; set HL7_CORPUS\n", left_out);
        skip();
    }
}

/* What is listed in MANIFEST.tsv is there; only the files under the MPL may be missing. */
static void what_is_copied_is_there(void **state)
{
    struct corpus_table table;
    const char *fields[6];

    (void)state;
    assert_int_equal(corpus_table_open(&table, "MANIFEST.tsv"), 0);
    while (corpus_table_next(&table, fields, 6)) {
        struct buffer content;
        buffer_init(&content, 16u << 20);
        assert_int_equal(corpus_read(fields[0], &content), 0);
        assert_int_equal(content.length, strtoul(fields[5], NULL, 10));
        buffer_free(&content);
    }
    corpus_table_close(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_answer),
        cmocka_unit_test(files_that_are_not_copied),
        cmocka_unit_test(what_is_copied_is_there),
    };

    return cmocka_run_group_tests_name("answers", tests, NULL, NULL);
}
