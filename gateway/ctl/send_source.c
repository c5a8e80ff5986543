#include "ctl/send_source.h"

#include "hl7/ack.h"
#include "hl7/batch.h"
#include "hl7/mllp.h"

#include <errno.h>
#include <stdlib.h>

void send_source_init(struct send_source *source)
{
    *source = (struct send_source){0};
}

void send_source_free(struct send_source *source)
{
    for (size_t i = 0; i < source->count; i++)
        free(source->messages[i].data);
    free(source->messages);
    send_source_init(source);
}

/* Where MSA-2 comes from, and which answers are due when all is well. */
static void message_describe(struct send_message *message)
{
    struct batch batch;
    enum msh_problem problem = batch_read(span_of(message->data, message->length), &batch, NULL);
    struct span id = batch.header.control_id;

    if (id.length == 0 && (batch.control_id.length > 0 || id.data == NULL))
        id = batch.control_id; /* an empty one is a place, too */

    message->accept = false;
    message->application = true; /* an unreadable message gets a negative one */
    message->has_id = id.data != NULL;
    if (message->has_id) {
        message->id_at = (size_t)(id.data - message->data);
        message->id_length = id.length;
    }
    if (problem != MSH_OK)
        return;
    struct ack_plan plan =
        ack_decide(&batch.header, ACK_MODE_MESSAGE, ACK_OUTCOME_ACCEPTED, ACK_ERROR_NONE);
    bool answered = !msh_is_acknowledgment(&batch.header);
    message->accept = answered && plan.accept;
    message->application = answered && plan.application;
}

/* Takes over data. */
static int source_add(struct send_source *source, char *data, size_t length)
{
    if (source->bytes + (int64_t)length > SEND_SOURCE_MAXIMUM) {
        free(data);
        return -EFBIG;
    }
    if (source->count == source->capacity) {
        size_t capacity = source->capacity == 0 ? 16 : source->capacity * 2;
        struct send_message *grown = realloc(source->messages, capacity * sizeof *grown);
        if (grown == NULL) {
            free(data);
            return -ENOMEM;
        }
        source->messages = grown;
        source->capacity = capacity;
    }
    struct send_message *message = &source->messages[source->count++];
    *message = (struct send_message){.data = data, .length = length};
    source->bytes += (int64_t)length;
    message_describe(message);
    return 0;
}

static int source_add_copy(struct send_source *source, struct span content)
{
    char *data = malloc(content.length + 1); /* one more: never of size 0 */
    if (data == NULL)
        return -ENOMEM;
    if (content.length > 0)
        memcpy(data, content.data, content.length);
    return source_add(source, data, content.length);
}

static int source_add_frames(struct send_source *source, struct span stream)
{
    struct mllp_limits limits = {.maximum_content_bytes = (size_t)SEND_SOURCE_MAXIMUM};
    struct mllp_decoder decoder;
    int result = 0;

    mllp_decoder_init(&decoder, &limits);
    while (result == 0 && stream.length > 0) {
        size_t used = 0, length = 0;
        enum mllp_event event = MLLP_NEED_MORE;
        result = mllp_decoder_feed(&decoder, stream.data, stream.length, &used, &event);
        stream = span_of(stream.data + used, stream.length - used);
        if (result < 0 || event != MLLP_MESSAGE)
            continue;
        char *data = mllp_decoder_take(&decoder, &length);
        result = data == NULL ? -ENOMEM : source_add(source, data, length);
    }
    if (result == 0 && mllp_decoder_in_frame(&decoder))
        result = -EBADMSG;
    mllp_decoder_free(&decoder);
    return result;
}

/* LF or CRLF at the end of every line and no CR elsewhere: somebody's editor wrote this. */
static bool source_is_hand_written(struct span content)
{
    bool any = false;

    for (size_t i = 0; i < content.length; i++) {
        if (content.data[i] == '\n')
            any = true;
        else if (content.data[i] == '\r' &&
                 (i + 1 == content.length || content.data[i + 1] != '\n'))
            return false;
    }
    return any;
}

static size_t source_convert(char *content, size_t length)
{
    size_t kept = 0;

    for (size_t i = 0; i < length; i++) {
        if (content[i] == '\r')
            continue; /* an LF follows: it becomes the CR */
        content[kept++] = content[i] == '\n' ? '\r' : content[i];
    }
    return kept;
}

static bool source_is_at(struct span content, size_t at, const char *name)
{
    return content.length - at >= 3 && memcmp(content.data + at, name, 3) == 0;
}

/* Splits before each MSH at the start of a line; what lies before the first one goes with it. */
static int source_add_messages(struct send_source *source, struct span content)
{
    size_t start = 0;
    bool has_header = false;

    for (size_t i = 0; i < content.length; i++) {
        bool line = i == 0 || content.data[i - 1] == '\r' || content.data[i - 1] == '\n';
        if (!line || !source_is_at(content, i, "MSH"))
            continue;
        if (has_header) {
            int result = source_add_copy(source, span_of(content.data + start, i - start));
            if (result < 0)
                return result;
            start = i;
        }
        has_header = true;
    }
    return source_add_copy(source, span_of(content.data + start, content.length - start));
}

int send_source_add_content(struct send_source *source, char *content, size_t length, bool as_is)
{
    if (length > 0 && content[0] == MLLP_VT)
        return source_add_frames(source, span_of(content, length));
    if (as_is)
        return source_add_copy(source, span_of(content, length));
    if (source_is_hand_written(span_of(content, length))) {
        length = source_convert(content, length);
        source->converted++;
    }
    struct span all = span_of(content, length);
    if (source_is_at(all, 0, "FHS") || source_is_at(all, 0, "BHS"))
        return source_add_copy(source, all);
    return source_add_messages(source, all);
}
