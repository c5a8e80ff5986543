/* What other systems answered: the reading half of ack.h. */
#include "hl7/ack.h"
#include "hl7/mllp.h"
#include "hl7/segment.h"

#include <errno.h>

static enum ack_code ack_code_of(struct span text)
{
    for (int code = ACK_AA; code < ACK_CODE_UNKNOWN; code++)
        if (span_equal_string(text, ack_code_text((enum ack_code)code)))
            return (enum ack_code)code;
    return ACK_CODE_UNKNOWN;
}

static int ack_error_number(struct span text)
{
    int number = 0;

    if (text.length == 0 || text.length > 6)
        return 0;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return 0;
        number = number * 10 + (text.data[i] - '0');
    }
    return number;
}

static void ack_read_err(struct ack_reply *reply, struct span segment)
{
    char field = reply->header.field;
    struct span code = segment_piece(segment, field, 3);

    reply->error_location = segment_piece(segment, field, 2);
    if (reply->error_location.length == 0)
        reply->error_location = segment_piece(segment, field, 1); /* before 2.5 */
    reply->error_code = ack_error_number(segment_piece(code, reply->header.component, 0));
}

/* ERR segments that follow one another are one piece, with what ends them. */
static void ack_read_errors(struct ack_reply *reply, const struct segment_walk *walk,
                            struct span segment, bool *closed)
{
    const char *end = walk->at;

    if (*closed)
        return;
    if (!segment_is(segment, "ERR", reply->header.field)) {
        *closed = reply->errors.length > 0;
        return;
    }
    while (end < walk->end && (*end == '\r' || *end == '\n'))
        end++;
    if (reply->errors.length == 0) {
        ack_read_err(reply, segment);
        reply->errors = span_of(segment.data, (size_t)(end - segment.data));
    } else {
        reply->errors.length = (size_t)(end - reply->errors.data);
    }
}

static bool ack_header_usable(enum msh_problem problem)
{
    return problem == MSH_OK || problem == MSH_NO_MESSAGE_TYPE ||
           problem == MSH_NUL_IN_CONTROL_ID || problem == MSH_CONTROL_ID_TOO_LONG;
}

int ack_read(struct span content, struct ack_reply *ret_reply)
{
    struct ack_reply reply = {.code = ACK_CODE_UNKNOWN};
    bool found = false, closed = false;
    struct span segment;

    if (!ack_header_usable(msh_read(content, &reply.header, NULL)))
        return -EBADMSG;
    const char *behind = reply.header.segment.data + reply.header.segment.length;
    struct segment_walk walk = {behind, content.data + content.length};
    while (segment_next(&walk, &segment) && !segment_is(segment, "MSH", reply.header.field)) {
        if (!found && segment_is(segment, "MSA", reply.header.field)) {
            found = true;
            reply.code = ack_code_of(segment_piece(segment, reply.header.field, 1));
            reply.control_id = segment_piece(segment, reply.header.field, 2);
        }
        ack_read_errors(&reply, &walk, segment, &closed);
    }
    if (reply.code == ACK_CODE_UNKNOWN)
        return -EBADMSG;
    *ret_reply = reply;
    return 0;
}

static bool ack_is_header(const char *at, const char *end)
{
    at += msh_lead(span_of(at, (size_t)(end - at)));
    return end - at >= 3 &&
           (memcmp(at, "MSH", 3) == 0 || memcmp(at, "BHS", 3) == 0 || memcmp(at, "FHS", 3) == 0);
}

static const char *ack_skip_framing(const char *at, const char *end)
{
    while (at < end &&
           (*at == MLLP_VT || *at == MLLP_FS || *at == '\r' || *at == '\n' || *at == ' '))
        at++;
    return at;
}

/* What lies before the next framing; *at becomes what lies behind it. */
static struct span ack_next_block(const char **at, const char *end)
{
    const char *start = *at, *stop = start, *behind;

    do {
        stop = scan_two(stop, end, MLLP_VT, MLLP_FS);
        behind = ack_skip_framing(stop, end);
        if (behind == end || ack_is_header(behind, end))
            break;
        stop = behind;
    } while (stop < end);
    *at = behind;
    return span_of(start, (size_t)(stop - start));
}

struct ack_each {
    int (*each)(struct span answer, void *context);
    void *context;
};

static int ack_each_message(struct span message, size_t index, void *context)
{
    const struct ack_each *inner = context;

    (void)index;
    return inner->each(message, inner->context);
}

int ack_each(struct span body, int (*each)(struct span answer, void *context), void *context)
{
    struct ack_each inner = {each, context};
    const char *at = body.data, *end;
    int result = 0;

    if (body.length == 0)
        return 0;
    end = body.data + body.length;
    while (result == 0 && at < end)
        result = batch_each(ack_next_block(&at, end), ack_each_message, &inner);
    return result;
}

int ack_code_weight(enum ack_code code)
{
    switch (code) {
    case ACK_CA:
        return 1;
    case ACK_AA:
        return 2;
    case ACK_CE:
    case ACK_CR:
        return 3;
    case ACK_AE:
    case ACK_AR:
        return 4;
    case ACK_CODE_UNKNOWN:
        break;
    }
    return 0;
}

struct ack_heaviest {
    struct span answer;
    struct ack_reply reply;
};

static int ack_weigh(struct span answer, void *context)
{
    struct ack_heaviest *heaviest = context;
    struct ack_reply reply;

    if (ack_read(answer, &reply) == 0 &&
        ack_code_weight(reply.code) > ack_code_weight(heaviest->reply.code))
        *heaviest = (struct ack_heaviest){answer, reply};
    return 0;
}

int ack_read_heaviest(struct span body, struct span *ret_answer, struct ack_reply *ret_reply)
{
    struct ack_heaviest heaviest = {.reply.code = ACK_CODE_UNKNOWN};

    (void)ack_each(body, ack_weigh, &heaviest);
    if (heaviest.reply.code == ACK_CODE_UNKNOWN)
        return -EBADMSG;
    *ret_answer = heaviest.answer;
    *ret_reply = heaviest.reply;
    return 0;
}
