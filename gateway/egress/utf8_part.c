#include "egress/utf8_part.h"

#include <stdio.h>
#include <stdlib.h>

#define UTF8_ANSWER_GROWTH 4 /* and what MSH-18 adds */

static void utf8_part_say(struct verdict *verdict, enum verdict_kind kind, const char *words,
                          size_t offset)
{
    *verdict = (struct verdict){.kind = kind, .about_message = kind == VERDICT_REFUSED};
    snprintf(verdict->reason, sizeof(verdict->reason), "%s (byte %zu)", words, offset);
}

static void utf8_part_out_of_memory(struct verdict *verdict)
{
    *verdict = (struct verdict){.kind = VERDICT_RETRY, .reason = "out of memory"};
}

static bool utf8_part_plan(struct utf8_part *made, const struct message *message, struct span part,
                           struct verdict *ret_verdict)
{
    const struct recode_rules rules = {(enum charset)message->character_set,
                                       message->normalise_segment_ends};
    size_t offset = 0;
    enum recode_problem problem = recode_plan(part, &rules, &made->recode, &offset);

    switch (problem) {
    case RECODE_OK:
        return true;
    case RECODE_OUT_OF_MEMORY:
        utf8_part_out_of_memory(ret_verdict);
        return false;
    case RECODE_NOT_HERE:
        utf8_part_say(ret_verdict, VERDICT_OPERATOR, recode_problem_words(problem), offset);
        return false;
    default:
        utf8_part_say(ret_verdict, VERDICT_REFUSED, recode_problem_words(problem), offset);
        return false;
    }
}

static bool utf8_part_fits(size_t length, int64_t maximum_bytes, struct verdict *ret_verdict)
{
    if ((int64_t)length <= maximum_bytes)
        return true;
    *ret_verdict = (struct verdict){.kind = VERDICT_REFUSED, .about_message = true};
    snprintf(ret_verdict->reason, sizeof(ret_verdict->reason),
             "%zu bytes, and maximum_request_bytes leaves room for %lld", length,
             (long long)maximum_bytes);
    return false;
}

/* The answer's MSA-2 says it. */
static bool utf8_part_note_control_id(struct utf8_part *made)
{
    struct msh msh;

    (void)msh_read(made->text, &msh, NULL);
    made->control_id_length = msh.control_id.length;
    made->control_id = malloc(msh.control_id.length + 1);
    if (made->control_id == NULL)
        return false;
    if (msh.control_id.length > 0)
        memcpy(made->control_id, msh.control_id.data, msh.control_id.length);
    return true;
}

static bool utf8_part_write(struct utf8_part *made, struct span part)
{
    const struct recode *recode = &made->recode;

    if (recode->as_it_is) {
        made->text = span_of(part.data + (part.length - recode->length), recode->length);
        return true;
    }
    made->owned = malloc(recode->length + 1);
    if (made->owned == NULL || recode_write(recode, part, made->owned) != 0)
        return false;
    made->text = span_of(made->owned, recode->length);
    return utf8_part_note_control_id(made);
}

bool utf8_part_make(struct utf8_part *made, const struct message *message, struct span part,
                    int64_t maximum_bytes, struct verdict *ret_verdict)
{
    *made = (struct utf8_part){.owned = NULL};
    if (!utf8_part_plan(made, message, part, ret_verdict) ||
        !utf8_part_fits(made->recode.length, maximum_bytes, ret_verdict))
        return false;
    if (utf8_part_write(made, part))
        return true;
    utf8_part_free(made);
    utf8_part_out_of_memory(ret_verdict);
    return false;
}

void utf8_part_release(struct utf8_part *made)
{
    free(made->owned);
    made->owned = NULL;
    made->text = span_of(NULL, 0);
}

void utf8_part_free(struct utf8_part *made)
{
    utf8_part_release(made);
    free(made->control_id);
    *made = (struct utf8_part){.owned = NULL};
}

void utf8_part_answer(const struct utf8_part *made, struct span part, struct verdict *verdict)
{
    struct answer_bytes *own = verdict->answer, *theirs = NULL;
    struct buffer text;

    if (own == NULL || !verdict->answer_is_hl7)
        return;
    buffer_init(&text, UTF8_ANSWER_GROWTH * own->length + part.length);
    if (recode_answer(&made->recode, part, span_of(own->data, own->length), &text) == 0)
        theirs = answer_bytes_new(buffer_span(&text));
    buffer_free(&text);
    if (theirs == NULL) {
        verdict->answer_is_hl7 = false;
        return;
    }
    answer_bytes_release(&verdict->answer);
    verdict->answer = theirs;
}
