#include "egress/http_verdict.h"
#include "hl7/ack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define VT 0x0b
#define FS 0x1c

static struct span verdict_trim(struct span body)
{
    if (body.length > 0 && body.data[0] == VT) {
        body.data++;
        body.length--;
    }
    for (; body.length > 0; body.length--) {
        char last = body.data[body.length - 1];

        if (last != FS && !(last == '\r' && body.length > 1 && body.data[body.length - 2] == FS))
            break;
    }
    return body;
}

static bool verdict_starts(struct span body, const char *segment)
{
    return body.length >= 3 && memcmp(body.data, segment, 3) == 0;
}

static bool verdict_may_lead(char c)
{
    return c == '\r' || c == '\n' || c == ' ' || c == VT || c == FS;
}

/* What msh_read() forgives before the header, a byte order mark and white space, and framing. */
static struct span verdict_skip_lead(struct span body)
{
    if (body.length >= 3 && memcmp(body.data, "\xef\xbb\xbf", 3) == 0)
        body = span_of(body.data + 3, body.length - 3);
    while (body.length > 0 && verdict_may_lead(body.data[0]))
        body = span_of(body.data + 1, body.length - 1);
    return body;
}

static bool verdict_is_hl7(const char *content_type, struct span body)
{
    if (body.length == 0)
        return false;
    struct span start = verdict_skip_lead(body);
    if (verdict_starts(start, "MSH") || verdict_starts(start, "BHS") ||
        verdict_starts(start, "FHS"))
        return true;
    return strcasestr(content_type, "hl7-v2") != NULL || strcasestr(content_type, "hl7v2") != NULL;
}

/* The MSH-10 of everything that was sent and the envelope's own id, sorted: a batch of n messages brings n answers, and looking
 * through what was sent for each would hold up the thread that delivers everything else. */
struct verdict_ids {
    struct span *items; /* NULL before the first look */
    size_t count;
};

static int verdict_count_message(struct span message, size_t index, void *context)
{
    (void)message;
    *(size_t *)context = index + 1;
    return 0;
}

static int verdict_add_id(struct span message, size_t index, void *context)
{
    struct verdict_ids *ids = context;
    struct msh msh;

    (void)msh_read(message, &msh, NULL);
    ids->items[index] = msh.control_id;
    return 0;
}

static int verdict_compare_ids(const void *left, const void *right)
{
    const struct span *a = left, *b = right;

    if (a->length != b->length)
        return a->length < b->length ? -1 : 1;
    return a->length == 0 ? 0 : memcmp(a->data, b->data, a->length);
}

static int verdict_make_ids(struct span sent, struct verdict_ids *ids)
{
    struct batch batch;

    (void)batch_each(sent, verdict_count_message, &ids->count);
    ids->items = calloc(ids->count + 1, sizeof(*ids->items));
    if (ids->items == NULL)
        return -ENOMEM;
    (void)batch_each(sent, verdict_add_id, ids);
    (void)batch_read(sent, &batch, NULL);
    if (batch.control_id.length > 0)
        ids->items[ids->count++] = batch.control_id;
    qsort(ids->items, ids->count, sizeof(*ids->items), verdict_compare_ids);
    return 0;
}

struct verdict_answer {
    const struct http_question *question;
    struct ack_reply reply; /* the heaviest */
    struct verdict_ids ids;
    bool any, negative, foreign, unreadable;
};

/* For a batch any of its messages' MSH-10 is ours as well as the envelope's own id. */
static int verdict_check_id(struct verdict_answer *answer, struct span control_id)
{
    struct verdict_ids *ids = &answer->ids;

    if (answer->foreign || span_equal(control_id, answer->question->control_id))
        return 0;
    if (ids->items == NULL && verdict_make_ids(answer->question->sent, ids) != 0)
        return -ENOMEM;
    answer->foreign = bsearch(&control_id, ids->items, ids->count, sizeof(*ids->items),
                              verdict_compare_ids) == NULL;
    return 0;
}

static int verdict_read_one(struct span content, void *context)
{
    struct verdict_answer *answer = context;
    struct ack_reply reply;

    if (ack_read(content, &reply) != 0) {
        answer->unreadable = true; /* a negative one may still follow */
        return 0;
    }
    if (verdict_check_id(answer, reply.control_id) != 0)
        return -ENOMEM;
    if (!answer->any || ack_code_weight(reply.code) > ack_code_weight(answer->reply.code))
        answer->reply = reply;
    answer->negative |= !ack_code_is_positive(reply.code);
    answer->any = true;
    return 0;
}

/* What cannot be read may have been negative; beside a negative one it changes nothing, and may be
 * the message itself, quoted by an ERR. */
static int verdict_read(struct span body, struct verdict_answer *answer)
{
    int error = ack_each(body, verdict_read_one, answer);

    free(answer->ids.items);
    if (error != 0)
        return error;
    return !answer->any || (answer->unreadable && !answer->negative) ? -EBADMSG : 0;
}

/* ERR-2 says where, as a segment's name and numbers. Anything else in that place may be content. */
static void verdict_copy_location(struct span location, char component, char ret_location[32])
{
    if (location.length < 3 || location.length > 31)
        return;
    for (size_t i = 0; i < location.length; i++) {
        char c = location.data[i] == component ? '^' : location.data[i];
        bool letter = c >= 'A' && c <= 'Z', digit = c >= '0' && c <= '9';

        if (i == 0 ? !letter : i < 3 ? !letter && !digit : !digit && c != '^')
            goto not_a_location;
        ret_location[i] = c;
    }
    ret_location[location.length] = '\0';
    return;
not_a_location:
    ret_location[0] = '\0';
}

static bool verdict_says_nothing_about_message(int status)
{
    switch (status) {
    case 408:
    case 421:
    case 425:
    case 429:
    case 502:
    case 503:
    case 504:
        return true;
    default:
        return false;
    }
}

/* nginx tells clients of a TLS port so that their certificate is missing, expired, revoked or of
 * another CA, or that they don't speak TLS. Nothing of that is about the message, which a "refused"
 * would bury. */
static bool verdict_is_tls_page(const struct http_result *result)
{
    static const char *const titles[] = {"<title>400 No required SSL certificate was sent",
                                         "<title>400 The SSL certificate error",
                                         "<title>400 The plain HTTP request was sent to HTTPS"};

    if (result->status != 400 || result->body.length == 0)
        return false;
    for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++) {
        if (memmem(result->body.data, result->body.length, titles[i], strlen(titles[i])) != NULL)
            return true;
    }
    return false;
}

static enum verdict_kind verdict_of_status(int status)
{
    switch (status) {
    case 400:
    case 413:
    case 415:
    case 422:
        return VERDICT_REFUSED;
    case 408:
    case 409:
    case 421:
    case 425:
    case 429:
        return VERDICT_RETRY;
    default:
        if (status >= 200 && status < 300)
            return VERDICT_ACCEPTED;
        return status >= 300 && status < 500 ? VERDICT_OPERATOR : VERDICT_RETRY;
    }
}

static bool verdict_override(const struct http_question *question, int status,
                             enum verdict_kind *ret_kind)
{
    static const enum verdict_kind kinds[] = {[CONFIG_VERDICT_ACCEPTED] = VERDICT_ACCEPTED,
                                              [CONFIG_VERDICT_REFUSED] = VERDICT_REFUSED,
                                              [CONFIG_VERDICT_RETRY] = VERDICT_RETRY,
                                              [CONFIG_VERDICT_OPERATOR] = VERDICT_OPERATOR};

    for (size_t i = 0; i < question->override_count; i++) {
        if (question->overrides[i].status == status) {
            *ret_kind = kinds[question->overrides[i].verdict];
            return true;
        }
    }
    return false;
}

static void verdict_take_reply(const struct verdict_answer *answer, struct verdict *verdict)
{
    const struct ack_reply *reply = &answer->reply;

    snprintf(verdict->code, sizeof(verdict->code), "%s", ack_code_text(reply->code));
    verdict->error_code = reply->error_code;
    verdict_copy_location(reply->error_location, reply->header.component, verdict->error_location);
    if (verdict->error_code != 0)
        snprintf(verdict->reason, sizeof(verdict->reason), "%s from the store (ERR %d)",
                 verdict->code, verdict->error_code);
    else
        snprintf(verdict->reason, sizeof(verdict->reason), "%s from the store", verdict->code);
}

static void verdict_of_hl7(const struct http_question *question, struct span body,
                           struct verdict *verdict)
{
    struct verdict_answer answer = {.question = question};
    int error = verdict_read(body, &answer);

    verdict->kind = VERDICT_RETRY;
    if (error == -ENOMEM) {
        snprintf(verdict->reason, sizeof(verdict->reason), "out of memory");
        return;
    }
    if (error != 0) {
        snprintf(verdict->reason, sizeof(verdict->reason),
                 "HTTP %d, the HL7 in the answer cannot be read", verdict->status);
        return;
    }
    verdict->answer_is_hl7 = true;
    verdict_take_reply(&answer, verdict);
    if (answer.foreign)
        snprintf(verdict->reason, sizeof(verdict->reason),
                 "%s from the store, but MSA-2 is not ours", verdict->code);
    else
        verdict->kind = answer.negative ? VERDICT_REFUSED : VERDICT_ACCEPTED;
}

/* What was cut off may be an AE. Another try would bring the same answer: a setting must change. */
static void verdict_of_cut_hl7(struct verdict *verdict)
{
    verdict->kind = VERDICT_OPERATOR;
    snprintf(verdict->reason, sizeof(verdict->reason), "answer larger than maximum_answer_bytes");
}

static void verdict_of_answer(const struct http_question *question,
                              const struct http_result *result, struct verdict *verdict)
{
    struct span body = verdict_trim(result->body);
    bool success = result->status >= 200 && result->status < 300;

    verdict->kind = verdict_of_status(result->status);
    snprintf(verdict->reason, sizeof(verdict->reason), "%.95s", result->words);
    if (verdict_is_tls_page(result)) {
        verdict->kind = VERDICT_OPERATOR;
        snprintf(verdict->reason, sizeof(verdict->reason),
                 "HTTP 400, the server does not take our certificate");
    }
    if (success && verdict_is_hl7(result->content_type, body)) {
        if (result->failure == HTTP_ANSWER_TOO_LARGE)
            verdict_of_cut_hl7(verdict);
        else
            verdict_of_hl7(question, body, verdict);
    }
    (void)verdict_override(question, result->status, &verdict->kind);
    verdict->about_message =
        verdict->kind == VERDICT_ACCEPTED || verdict->kind == VERDICT_REFUSED ||
        (verdict->kind == VERDICT_RETRY && !verdict_says_nothing_about_message(result->status));
    if (body.length > 0 && (verdict->answer_is_hl7 || verdict->kind != VERDICT_ACCEPTED))
        verdict->answer = answer_bytes_new(body);
}

void http_verdict_make(const struct http_question *question, const struct http_result *result,
                       struct verdict *ret_verdict)
{
    *ret_verdict = (struct verdict){.status = result->status,
                                    .not_sent = result->not_sent,
                                    .retry_after_ms = result->retry_after_ms};
    switch (result->failure) {
    case HTTP_OK:
    case HTTP_ANSWER_TOO_LARGE:
        verdict_of_answer(question, result, ret_verdict);
        return;
    case HTTP_TLS:
    case HTTP_CREDENTIALS:
        ret_verdict->kind = VERDICT_OPERATOR;
        break;
    case HTTP_PROXY:
        ret_verdict->kind =
            verdict_of_status(result->status) == VERDICT_RETRY ? VERDICT_RETRY : VERDICT_OPERATOR;
        break;
    case HTTP_RESOLVE:
    case HTTP_CONNECT:
    case HTTP_TIMEOUT:
    case HTTP_TRANSPORT:
    case HTTP_INTERNAL:
        ret_verdict->kind = VERDICT_RETRY;
        break;
    }
    snprintf(ret_verdict->reason, sizeof(ret_verdict->reason), "%.95s", result->words);
}

enum verdict_kind http_verdict_of_token(enum http_failure failure, int status)
{
    if (failure == HTTP_TLS || failure == HTTP_CREDENTIALS)
        return VERDICT_OPERATOR;
    if (failure != HTTP_OK && failure != HTTP_PROXY)
        return VERDICT_RETRY;
    switch (verdict_of_status(status)) {
    case VERDICT_REFUSED:
    case VERDICT_OPERATOR:
        return VERDICT_OPERATOR;
    default:
        return VERDICT_RETRY; /* a 200 without a token among them */
    }
}
