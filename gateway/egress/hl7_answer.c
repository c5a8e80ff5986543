#include "egress/hl7_answer.h"
#include "hl7/ack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* The MSH-10 of everything that was sent and the envelope's own id, sorted: a batch of n messages brings n answers, and looking
 * through what was sent for each would hold up the thread that delivers everything else. */
struct hl7_answer_ids {
    struct span *items; /* NULL before the first look */
    size_t count;
};

static int hl7_answer_count_message(struct span message, size_t index, void *context)
{
    (void)message;
    *(size_t *)context = index + 1;
    return 0;
}

static int hl7_answer_add_id(struct span message, size_t index, void *context)
{
    struct hl7_answer_ids *ids = context;
    struct msh msh;

    (void)msh_read(message, &msh, NULL);
    ids->items[index] = msh.control_id;
    return 0;
}

static int hl7_answer_compare_ids(const void *left, const void *right)
{
    const struct span *a = left, *b = right;

    if (a->length != b->length)
        return a->length < b->length ? -1 : 1;
    return a->length == 0 ? 0 : memcmp(a->data, b->data, a->length);
}

static int hl7_answer_make_ids(struct span sent, struct hl7_answer_ids *ids)
{
    struct batch batch;

    (void)batch_each(sent, hl7_answer_count_message, &ids->count);
    ids->items = calloc(ids->count + 1, sizeof(*ids->items));
    if (ids->items == NULL)
        return -ENOMEM;
    (void)batch_each(sent, hl7_answer_add_id, ids);
    (void)batch_read(sent, &batch, NULL);
    if (batch.control_id.length > 0)
        ids->items[ids->count++] = batch.control_id;
    qsort(ids->items, ids->count, sizeof(*ids->items), hl7_answer_compare_ids);
    return 0;
}

struct hl7_answer {
    const struct hl7_sent *sent;
    struct ack_reply reply; /* the heaviest */
    struct hl7_answer_ids ids;
    bool any, negative, foreign, unreadable;
};

/* For a batch any of its messages' MSH-10 is ours as well as the envelope's own id. */
static int hl7_answer_check_id(struct hl7_answer *answer, struct span control_id)
{
    struct hl7_answer_ids *ids = &answer->ids;

    if (answer->foreign || span_equal(control_id, answer->sent->control_id))
        return 0;
    if (ids->items == NULL && hl7_answer_make_ids(answer->sent->bytes, ids) != 0)
        return -ENOMEM;
    answer->foreign = bsearch(&control_id, ids->items, ids->count, sizeof(*ids->items),
                              hl7_answer_compare_ids) == NULL;
    return 0;
}

static int hl7_answer_read_one(struct span content, void *context)
{
    struct hl7_answer *answer = context;
    struct ack_reply reply;

    if (ack_read(content, &reply) != 0) {
        answer->unreadable = true; /* a negative one may still follow */
        return 0;
    }
    if (hl7_answer_check_id(answer, reply.control_id) != 0)
        return -ENOMEM;
    if (!answer->any || ack_code_weight(reply.code) > ack_code_weight(answer->reply.code))
        answer->reply = reply;
    answer->negative |= !ack_code_is_positive(reply.code);
    answer->any = true;
    return 0;
}

/* What cannot be read may have been negative; beside a negative one it changes nothing, and may be
 * the message itself, quoted by an ERR. */
static int hl7_answer_read(struct span body, struct hl7_answer *answer)
{
    int error = ack_each(body, hl7_answer_read_one, answer);

    free(answer->ids.items);
    if (error != 0)
        return error;
    return !answer->any || (answer->unreadable && !answer->negative) ? -EBADMSG : 0;
}

/* ERR-2 says where, as a segment's name and numbers. Anything else in that place may be content. */
static void hl7_answer_copy_location(struct span location, char component, char ret_location[32])
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

static void hl7_answer_take_reply(const struct hl7_answer *answer, struct verdict *verdict)
{
    const struct ack_reply *reply = &answer->reply;

    snprintf(verdict->code, sizeof(verdict->code), "%s", ack_code_text(reply->code));
    verdict->error_code = reply->error_code;
    hl7_answer_copy_location(reply->error_location, reply->header.component,
                             verdict->error_location);
    if (verdict->error_code != 0)
        snprintf(verdict->reason, sizeof(verdict->reason), "%s from the store (ERR %d)",
                 verdict->code, verdict->error_code);
    else
        snprintf(verdict->reason, sizeof(verdict->reason), "%s from the store", verdict->code);
}

void hl7_answer_judge(const struct hl7_sent *sent, struct span body, struct verdict *verdict)
{
    struct hl7_answer answer = {.sent = sent};
    int error = hl7_answer_read(body, &answer);

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
    verdict->answer_is_hl7 = !answer.foreign; /* what it says is about somebody else */
    hl7_answer_take_reply(&answer, verdict);
    if (answer.foreign)
        snprintf(verdict->reason, sizeof(verdict->reason),
                 "%s from the store, but MSA-2 is not ours", verdict->code);
    else
        verdict->kind = answer.negative ? VERDICT_REFUSED : VERDICT_ACCEPTED;
}
