/*
 * exchange_case: one message, judged and answered without a connection. Header only.
 */
#ifndef MLLPGW_TESTS_EXCHANGE_CASE_H
#define MLLPGW_TESTS_EXCHANGE_CASE_H

#include "hl7/mllp.h"
#include "ingress/exchange.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* The configuration's texts are not const; nobody writes to them. */
#define TEXT(text) ((char *)(uintptr_t)(text))
#define EXCHANGE_WALL_MS 1767268800000 /* 2026-01-01T12:00:00Z */

struct exchange_case {
    struct config_peer peer;
    struct config_listener listener;
    struct exchange_policy policy;
    struct exchange exchange;
    enum exchange_action action;
    struct exchange_sent sent;
    struct buffer scratch, out;
    size_t read; /* of out, by exchange_case_frame() */
    long sequence_last;
};

static inline void exchange_case_init(struct exchange_case *each)
{
    *each = (struct exchange_case){
        .peer = {.name = TEXT("lab")},
        .listener = {.name = TEXT("adt")},
        .sequence_last = SEQUENCE_NONE,
    };
    each->policy = (struct exchange_policy){.listener = &each->listener, .peer = &each->peer};
    buffer_init(&each->scratch, 8u << 20);
    buffer_init(&each->out, 16u << 20);
}

static inline void exchange_case_free(struct exchange_case *each)
{
    exchange_clear(&each->exchange);
    buffer_free(&each->scratch);
    buffer_free(&each->out);
}

static inline void exchange_case_judge_span(struct exchange_case *each, struct span content)
{
    char *body = malloc(content.length == 0 ? 1 : content.length);

    assert_non_null(body);
    memcpy(body, content.data, content.length);
    exchange_clear(&each->exchange);
    each->out.length = each->read = 0;
    assert_int_equal(exchange_judge(&each->exchange, &each->policy, body, content.length, 7,
                                    EXCHANGE_WALL_MS, each->sequence_last, &each->action),
                     0);
}

static inline void exchange_case_judge(struct exchange_case *each, const char *content)
{
    exchange_case_judge_span(each, span_of_string(content));
}

static inline void exchange_case_answer(struct exchange_case *each,
                                        const struct exchange_result *result)
{
    struct exchange_time time = {EXCHANGE_WALL_MS, 60};

    assert_int_equal(exchange_answer(&each->exchange, &each->policy, result, &time, &each->scratch,
                                     &each->out, &each->sent),
                     0);
}

/* The answer to what the spool says. */
static inline void exchange_case_settle(struct exchange_case *each, const struct spool_put *put)
{
    struct exchange_result result = each->exchange.result;

    exchange_result_of_put(put, &result);
    exchange_case_answer(each, &result);
}

static inline bool exchange_case_frame(struct exchange_case *each, struct span *ret_frame)
{
    const char *data = each->out.data + each->read;
    size_t left = each->out.length - each->read;

    if (left == 0) {
        return false;
    }
    assert_int_equal(data[0], MLLP_VT);
    for (size_t i = 1; i + 1 < left; i++) {
        if (data[i] == MLLP_FS && data[i + 1] == MLLP_CR) {
            *ret_frame = span_of(data + 1, i - 1);
            each->read += i + 2;
            return true;
        }
    }
    fail_msg("a frame without an end");
    return false;
}

static inline void exchange_case_ack(struct exchange_case *each, const char *code,
                                     const char *control_id, struct ack_reply *ret_reply)
{
    struct ack_reply reply;
    struct span frame = {NULL, 0};

    assert_true(exchange_case_frame(each, &frame));
    assert_int_equal(ack_read(frame, &reply), 0);
    if (strcmp(ack_code_text(reply.code), code) != 0 ||
        !span_equal_string(reply.control_id, control_id)) {
        fail_msg("%s for %s is due, and came %.*s", code, control_id, (int)frame.length,
                 frame.data);
    }
    if (ret_reply != NULL) {
        *ret_reply = reply;
    }
}

#define exchange_case_no_frame(each) assert_int_equal((each)->read, (each)->out.length)

/* "06 CA AA", "15", "none" or "close reason" */
static inline void exchange_case_describe(struct exchange_case *each, char ret_text[64])
{
    struct ack_reply reply;
    struct span frame = {NULL, 0};
    size_t used = 0;

    if (each->sent.close) {
        assert_int_equal(each->out.length, 0);
        snprintf(ret_text, 64, "close %s", reason_code(each->sent.close_reason));
        return;
    }
    while (exchange_case_frame(each, &frame)) {
        const char *word = "??";
        if (frame.length == 1) {
            word = frame.data[0] == MLLP_ACK ? "06" : "15";
        } else if (ack_read(frame, &reply) == 0) {
            word = ack_code_text(reply.code);
        }
        used += (size_t)snprintf(ret_text + used, 64 - used, "%s%s", used == 0 ? "" : " ", word);
    }
    if (used == 0) {
        snprintf(ret_text, 64, "none");
    }
}

#define EXCHANGE_MSH(facility, id)                                                                 \
    "MSH|^~\\&|APP|" facility "|GW|HUB|||ADT^A01^ADT_A01|" id "|P|2.5"
#define EXCHANGE_MESSAGE(id) EXCHANGE_MSH("FAC", id) "\rPID|1\r"

#endif
