#include "egress/http_verdict.h"

#include <stdio.h>
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

bool http_verdict_says_nothing_about_message(int status)
{
    switch (status) {
    case 408:
    case 421:
    case 425:
    case 429:
    case 499:
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

static void verdict_override(const struct http_question *question, int status,
                             enum verdict_kind *ret_kind)
{
    static const enum verdict_kind kinds[] = {[CONFIG_VERDICT_ACCEPTED] = VERDICT_ACCEPTED,
                                              [CONFIG_VERDICT_REFUSED] = VERDICT_REFUSED,
                                              [CONFIG_VERDICT_RETRY] = VERDICT_RETRY,
                                              [CONFIG_VERDICT_OPERATOR] = VERDICT_OPERATOR};

    for (size_t i = 0; i < question->override_count; i++) {
        if (question->overrides[i].status == status) {
            *ret_kind = kinds[question->overrides[i].verdict];
            return;
        }
    }
}

/* What was cut off may be an AE. Another try would bring the same answer: a setting must change. */
void http_verdict_of_cut_answer(struct verdict *verdict)
{
    verdict->kind = VERDICT_OPERATOR;
    snprintf(verdict->reason, sizeof(verdict->reason), "answer larger than maximum_answer_bytes");
}

static enum verdict_kind verdict_of_failure(const struct http_result *result)
{
    switch (result->failure) {
    case HTTP_OK:
    case HTTP_ANSWER_TOO_LARGE:
        return verdict_is_tls_page(result) ? VERDICT_OPERATOR : verdict_of_status(result->status);
    case HTTP_TLS:
    case HTTP_CREDENTIALS:
        return VERDICT_OPERATOR;
    case HTTP_PROXY:
        return verdict_of_status(result->status) == VERDICT_RETRY ? VERDICT_RETRY
                                                                  : VERDICT_OPERATOR;
    case HTTP_RESOLVE:
    case HTTP_CONNECT:
    case HTTP_TIMEOUT:
    case HTTP_TRANSPORT:
    case HTTP_INTERNAL:
        break;
    }
    return VERDICT_RETRY;
}

bool http_verdict_begin(const struct http_result *result, struct verdict *ret_verdict)
{
    *ret_verdict = (struct verdict){.kind = verdict_of_failure(result),
                                    .status = result->status,
                                    .not_sent = result->not_sent,
                                    .retry_after_ms = result->retry_after_ms};
    snprintf(ret_verdict->reason, sizeof(ret_verdict->reason), "%s",
             verdict_is_tls_page(result) ? "HTTP 400, the server does not take our certificate"
                                         : result->words);
    return result->failure == HTTP_OK || result->failure == HTTP_ANSWER_TOO_LARGE;
}

void http_verdict_end(const struct http_question *question, struct verdict *verdict)
{
    verdict_override(question, verdict->status, &verdict->kind);
    verdict->about_message = verdict->kind == VERDICT_ACCEPTED ||
                             verdict->kind == VERDICT_REFUSED ||
                             (verdict->kind == VERDICT_RETRY &&
                              !http_verdict_says_nothing_about_message(verdict->status));
}

void http_verdict_make(const struct http_question *question, const struct http_result *result,
                       struct verdict *ret_verdict)
{
    struct span body = verdict_trim(result->body);
    bool success = result->status >= 200 && result->status < 300;

    if (!http_verdict_begin(result, ret_verdict))
        return;
    if (success && verdict_is_hl7(result->content_type, body)) {
        if (result->failure == HTTP_ANSWER_TOO_LARGE)
            http_verdict_of_cut_answer(ret_verdict);
        else
            hl7_answer_judge(&question->sent, body, ret_verdict);
    }
    http_verdict_end(question, ret_verdict);
    if (body.length > 0 && (ret_verdict->answer_is_hl7 || ret_verdict->kind != VERDICT_ACCEPTED))
        ret_verdict->answer = answer_bytes_new(body);
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
