#include "egress/google_verdict.h"
#include "base/base64.h"
#include "http/google_fault.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define GOOGLE_KEPT_BYTES ((size_t)64 * 1024)

/* ---- Google's JSON ---- */

/* NULL: it isn't an object of JSON. */
static json_t *google_parse(const struct http_result *result)
{
    json_t *root = NULL;

    if (result->failure == HTTP_OK && result->body.length > 0)
        root = json_loadb(result->body.data, result->body.length, 0, NULL);
    if (root != NULL && !json_is_object(root)) {
        json_decref(root);
        root = NULL;
    }
    return root;
}

/* error.status, a word of google.rpc.Code; "" when there is none. */
static const char *google_error_word(const json_t *root)
{
    const char *word = json_string_value(json_object_get(json_object_get(root, "error"), "status"));

    return word == NULL ? "" : word;
}

/* What a JSON text holds in base64; NULL: it is none, or memory is out. */
static struct answer_bytes *google_decode(const json_t *value)
{
    struct span text = {json_string_value(value), json_string_length(value)};
    struct answer_bytes *bytes = text.data == NULL ? NULL : answer_bytes_new(text);

    if (bytes != NULL && base64_decode(text, bytes->data, &bytes->length) != 0)
        answer_bytes_release(&bytes);
    return bytes;
}

static bool google_is_empty(const json_t *value)
{
    return value == NULL || json_is_null(value) ||
           (json_is_string(value) && json_string_length(value) == 0);
}

/* ---- 2xx ---- */

static void google_say_unreadable(struct verdict *verdict, const char *what)
{
    verdict->kind = VERDICT_RETRY;
    snprintf(verdict->reason, sizeof(verdict->reason),
             "HTTP %d, the %s in the answer cannot be read", verdict->status, what);
}

/* What fields are empty is left out of Google's JSON; what is there is one of the answer's two. */
static bool google_is_of_ingest(const json_t *root)
{
    return json_object_size(root) == 0 || json_object_get(root, "hl7Ack") != NULL ||
           json_is_object(json_object_get(root, "message"));
}

static void google_of_success(const struct google_question *question,
                              const struct http_result *result, const json_t *root,
                              struct verdict *verdict)
{
    const json_t *ack = json_object_get(root, "hl7Ack");

    if (result->failure == HTTP_ANSWER_TOO_LARGE) {
        http_verdict_of_cut_answer(verdict);
    } else if (root == NULL) {
        google_say_unreadable(verdict, "JSON");
    } else if (!google_is_empty(ack)) {
        verdict->answer = google_decode(ack);
        if (verdict->answer == NULL)
            google_say_unreadable(verdict, "hl7Ack");
        else
            hl7_answer_judge(&question->http.sent,
                             span_of(verdict->answer->data, verdict->answer->length), verdict);
    } else if (!google_is_of_ingest(root)) {
        verdict->kind = VERDICT_OPERATOR;
        snprintf(verdict->reason, sizeof(verdict->reason),
                 "HTTP %d, but not as messages:ingest answers: check endpoint and api_version",
                 verdict->status);
    }
}

/* ---- errors ---- */

/* Not where the status names trouble that isn't the message's: the API makes a NACK for any error, and
 * an outage, a quota or a missing role must not bury what another try will bring in. */
static bool google_nack_counts(const struct verdict *verdict)
{
    return verdict->kind != VERDICT_OPERATOR &&
           !http_verdict_says_nothing_about_message(verdict->status);
}

/* Refused, or a retry when it is another message's; else the status decides. True: it is read. */
static bool google_of_nack(const struct google_question *question, const json_t *nack,
                           struct verdict *verdict)
{
    struct verdict read = *verdict;

    read.answer = google_is_empty(nack) ? NULL : google_decode(nack);
    if (read.answer == NULL)
        return false;
    hl7_answer_judge(&question->http.sent, span_of(read.answer->data, read.answer->length), &read);
    if (read.code[0] == '\0' || read.kind == VERDICT_ACCEPTED) {
        answer_bytes_release(&read.answer);
        return false;
    }
    *verdict = read;
    return true;
}

static void google_of_duplicate(const struct google_question *question, const json_t *nack,
                                struct verdict *verdict)
{
    if (question->in_doubt) {
        verdict->kind = VERDICT_ACCEPTED;
        snprintf(verdict->reason, sizeof(verdict->reason),
                 "HTTP %d, an earlier attempt has brought it to the store", verdict->status);
        return;
    }
    if (google_of_nack(question, nack, verdict) && verdict->kind != VERDICT_REFUSED)
        return;
    verdict->kind = VERDICT_REFUSED;
    snprintf(verdict->reason, sizeof(verdict->reason),
             "HTTP %d, the store has the same message already (rejectDuplicateMessage)",
             verdict->status);
}

#define SAY(...) snprintf(verdict->reason, sizeof(verdict->reason), __VA_ARGS__)

static void google_of_error(const struct google_question *question, const json_t *root,
                            struct verdict *verdict)
{
    const json_t *nack = google_error_detail(root, "hl7Nack");
    const char *word = google_error_word(root);

    if (verdict->status == 499)
        verdict->kind = VERDICT_RETRY;
    if (strcmp(word, "ALREADY_EXISTS") == 0) {
        google_of_duplicate(question, nack, verdict);
    } else if (google_nack_counts(verdict) && google_of_nack(question, nack, verdict)) {
        return;
    } else if (strcmp(word, "FAILED_PRECONDITION") == 0) {
        verdict->kind = VERDICT_OPERATOR;
        SAY("HTTP %d, FAILED_PRECONDITION: check the state of store %s, its dataset's encryption key "
            "too",
            verdict->status, question->store->store);
    } else if (verdict->kind == VERDICT_OPERATOR) {
        /* What an operator is to look at. */
        (void)google_fault_words(question->store, question->quota_project, verdict->status, root,
                                 verdict->reason, sizeof(verdict->reason));
    }
}

/* ---- */

/* Of what isn't HL7 the beginning, for people: beside an unreadable ACK stands the whole message, parsed,
 * and each try that is written down would bring it into the spool again. */
static struct span google_beginning(struct span body)
{
    return span_of(body.data, body.length < GOOGLE_KEPT_BYTES ? body.length : GOOGLE_KEPT_BYTES);
}

/* What is accepted, by an override perhaps, has no negative answer. */
static void google_settle_answer(const struct http_result *result, struct verdict *verdict)
{
    bool negative = verdict->code[0] != '\0' && verdict->code[1] != 'A';

    if (verdict->kind == VERDICT_ACCEPTED && (negative || !verdict->answer_is_hl7)) {
        answer_bytes_release(&verdict->answer);
        verdict->answer_is_hl7 = false;
        verdict->code[0] = '\0';
        verdict->error_code = 0;
        verdict->error_location[0] = '\0';
    } else if (verdict->kind != VERDICT_ACCEPTED && verdict->answer == NULL &&
               result->body.length > 0) {
        verdict->answer = answer_bytes_new(google_beginning(result->body));
    }
}

void google_verdict_make(const struct google_question *question, const struct http_result *result,
                         struct verdict *ret_verdict)
{
    json_t *root;

    if (!http_verdict_begin(result, ret_verdict))
        return;
    root = google_parse(result);
    if (result->status >= 200 && result->status < 300)
        google_of_success(question, result, root, ret_verdict);
    else
        google_of_error(question, root, ret_verdict);
    json_decref(root);
    http_verdict_end(&question->http, ret_verdict);
    google_settle_answer(result, ret_verdict);
}
