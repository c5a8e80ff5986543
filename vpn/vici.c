#include "vpn/vici.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct vici_text vici_text_of(const char *text)
{
    return (struct vici_text){.data = text, .length = strlen(text)};
}

bool vici_text_is(struct vici_text text, const char *expected)
{
    return text.length == strlen(expected) &&
           (text.length == 0 || memcmp(text.data, expected, text.length) == 0);
}

bool vici_text_number(struct vici_text text, uint64_t *ret_number)
{
    uint64_t number = 0;

    for (size_t i = 0; i < text.length; i++) {
        unsigned digit = (unsigned)((unsigned char)text.data[i] - '0');
        if (digit > 9 || number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    if (text.length == 0)
        return false;
    *ret_number = number;
    return true;
}

/* --- writing a message -------------------------------------------------------------------- */

void vici_builder_init(struct vici_builder *builder)
{
    *builder = (struct vici_builder){0};
    octets_init(&builder->bytes, VICI_PACKET_MAXIMUM);
}

void vici_builder_free(struct vici_builder *builder)
{
    octets_free(&builder->bytes);
    vici_builder_init(builder);
}

static void put(struct vici_builder *builder, const void *data, size_t length)
{
    if (builder->error == 0)
        builder->error = octets_append(&builder->bytes, data, length);
}

static void put_type(struct vici_builder *builder, enum vici_element_type type)
{
    uint8_t byte = (uint8_t)type;
    put(builder, &byte, 1);
}

static void put_name(struct vici_builder *builder, const char *name)
{
    size_t length = strlen(name);
    uint8_t byte = (uint8_t)length;

    if (builder->error == 0 && length > VICI_NAME_MAXIMUM)
        builder->error = -EMSGSIZE;
    put(builder, &byte, 1);
    put(builder, name, length);
}

static void put_value(struct vici_builder *builder, const void *data, size_t length)
{
    uint8_t bytes[2] = {(uint8_t)(length >> 8), (uint8_t)length};

    if (builder->error == 0 && length > VICI_VALUE_MAXIMUM)
        builder->error = -EMSGSIZE;
    put(builder, bytes, sizeof bytes);
    put(builder, data, length);
}

static void want(struct vici_builder *builder, bool well_nested)
{
    if (builder->error == 0 && !well_nested)
        builder->error = -EINVAL;
}

void vici_builder_section_start(struct vici_builder *builder, const char *name)
{
    want(builder, !builder->in_list);
    if (builder->error == 0 && builder->depth == VICI_DEPTH_MAXIMUM)
        builder->error = -EMSGSIZE;
    put_type(builder, VICI_SECTION_START);
    put_name(builder, name);
    if (builder->error == 0)
        builder->depth++;
}

void vici_builder_section_end(struct vici_builder *builder)
{
    want(builder, !builder->in_list && builder->depth > 0);
    put_type(builder, VICI_SECTION_END);
    if (builder->error == 0)
        builder->depth--;
}

void vici_builder_value(struct vici_builder *builder, const char *name, const void *data,
                        size_t length)
{
    want(builder, !builder->in_list);
    put_type(builder, VICI_KEY_VALUE);
    put_name(builder, name);
    put_value(builder, data, length);
}

void vici_builder_text(struct vici_builder *builder, const char *name, const char *text)
{
    vici_builder_value(builder, name, text, strlen(text));
}

void vici_builder_number(struct vici_builder *builder, const char *name, uint64_t number)
{
    char text[24];
    int length = snprintf(text, sizeof text, "%" PRIu64, number);
    vici_builder_value(builder, name, text, (size_t)length);
}

void vici_builder_list_start(struct vici_builder *builder, const char *name)
{
    want(builder, !builder->in_list);
    put_type(builder, VICI_LIST_START);
    put_name(builder, name);
    if (builder->error == 0)
        builder->in_list = true;
}

void vici_builder_item(struct vici_builder *builder, const void *data, size_t length)
{
    want(builder, builder->in_list);
    put_type(builder, VICI_LIST_ITEM);
    put_value(builder, data, length);
}

void vici_builder_list_end(struct vici_builder *builder)
{
    want(builder, builder->in_list);
    put_type(builder, VICI_LIST_END);
    if (builder->error == 0)
        builder->in_list = false;
}

int vici_builder_finish(const struct vici_builder *builder)
{
    if (builder->error != 0)
        return builder->error;
    return builder->in_list || builder->depth > 0 ? -EINVAL : 0;
}

/* --- reading a message -------------------------------------------------------------------- */

void vici_reader_init(struct vici_reader *reader, struct vici_text message)
{
    *reader = (struct vici_reader){.data = (const uint8_t *)message.data, .length = message.length};
}

static enum vici_answer bad(struct vici_reader *reader, const char *reason)
{
    reader->reason = reason;
    return VICI_BAD;
}

/* Takes a text with a length of so many bytes in front; false when the bytes end before it does. */
static bool take(const struct vici_reader *reader, size_t *at, size_t length_bytes,
                 struct vici_text *ret_text)
{
    size_t left = reader->length - *at, length = 0;

    if (left < length_bytes)
        return false;
    for (size_t i = 0; i < length_bytes; i++)
        length = length << 8 | reader->data[*at + i];
    if (left - length_bytes < length)
        return false;
    ret_text->data = (const char *)reader->data + *at + length_bytes;
    ret_text->length = length;
    *at += length_bytes + length;
    return true;
}

static const char *misplaced(const struct vici_reader *reader, enum vici_element_type type)
{
    bool of_list = type == VICI_LIST_ITEM || type == VICI_LIST_END;

    if (reader->in_list && !of_list)
        return "a list holds something other than items";
    if (!reader->in_list && of_list)
        return "a list's item or end outside of a list";
    if (type == VICI_SECTION_END && reader->depth == 0)
        return "a section ends that never began";
    if (type == VICI_SECTION_START && reader->depth == VICI_DEPTH_MAXIMUM)
        return "sections are nested too deeply";
    return NULL;
}

static void nest(struct vici_reader *reader, enum vici_element_type type)
{
    if (type == VICI_SECTION_START)
        reader->depth++;
    else if (type == VICI_SECTION_END)
        reader->depth--;
    else if (type == VICI_LIST_START)
        reader->in_list = true;
    else if (type == VICI_LIST_END)
        reader->in_list = false;
}

enum vici_answer vici_reader_next(struct vici_reader *reader, struct vici_element *ret_element)
{
    struct vici_element element = {.type = VICI_MESSAGE_END};
    size_t at = reader->offset;
    const char *problem;
    uint8_t type;

    if (reader->reason != NULL)
        return VICI_BAD;
    if (at == reader->length) {
        *ret_element = element;
        return reader->depth > 0 || reader->in_list ? VICI_NEED_MORE : VICI_COMPLETE;
    }
    type = reader->data[at++];
    if (type < VICI_SECTION_START || type > VICI_LIST_END)
        return bad(reader, "an element of a type that doesn't exist");
    element.type = (enum vici_element_type)type;
    problem = misplaced(reader, element.type);
    if (problem != NULL)
        return bad(reader, problem);
    if ((type == VICI_SECTION_START || type == VICI_KEY_VALUE || type == VICI_LIST_START) &&
        !take(reader, &at, 1, &element.name))
        return VICI_NEED_MORE;
    if ((type == VICI_KEY_VALUE || type == VICI_LIST_ITEM) && !take(reader, &at, 2, &element.value))
        return VICI_NEED_MORE;
    nest(reader, element.type);
    reader->offset = at;
    *ret_element = element;
    return VICI_COMPLETE;
}

/* --- packets ------------------------------------------------------------------------------ */

#define LENGTH_BYTES 4
#define KEPT_BYTES 65536 /* of memory from one packet to the next */

static bool is_named(enum vici_type type)
{
    return type == VICI_CMD_REQUEST || type == VICI_EVENT_REGISTER ||
           type == VICI_EVENT_UNREGISTER || type == VICI_EVENT;
}

static bool has_message(enum vici_type type)
{
    return type == VICI_CMD_REQUEST || type == VICI_CMD_RESPONSE || type == VICI_EVENT;
}

int vici_packet_write(struct octets *out, enum vici_type type, const char *name,
                      const struct vici_builder *message)
{
    uint8_t head[LENGTH_BYTES + 2 + VICI_NAME_MAXIMUM];
    size_t used = LENGTH_BYTES, total;
    int error = message != NULL ? vici_builder_finish(message) : 0;

    if (error != 0)
        return error;
    if (is_named(type) != (name != NULL) || (message != NULL && !has_message(type)))
        return -EINVAL;
    head[used++] = (uint8_t)type;
    if (name != NULL) {
        size_t length = strlen(name);
        if (length > VICI_NAME_MAXIMUM)
            return -EMSGSIZE;
        head[used++] = (uint8_t)length;
        memcpy(head + used, name, length); /* NOLINT: no terminator on the wire */
        used += length;
    }
    total = used - LENGTH_BYTES + (message != NULL ? message->bytes.length : 0);
    if (total > VICI_PACKET_MAXIMUM ||
        LENGTH_BYTES + total > out->maximum - out->length) /* all of it or nothing */
        return -EMSGSIZE;
    for (unsigned i = 0; i < LENGTH_BYTES; i++)
        head[i] = (uint8_t)(total >> (24 - 8 * i));
    error = octets_append(out, head, used);
    if (error == 0 && message != NULL) {
        error = octets_append(out, message->bytes.data, message->bytes.length);
        if (error != 0)
            out->length -= used;
    }
    return error;
}

void vici_packets_init(struct vici_packets *packets)
{
    *packets = (struct vici_packets){0};
    octets_init(&packets->bytes, LENGTH_BYTES + VICI_PACKET_MAXIMUM);
}

void vici_packets_free(struct vici_packets *packets)
{
    octets_free(&packets->bytes);
    vici_packets_init(packets);
}

static size_t packet_length(const struct octets *bytes)
{
    size_t length = 0;
    for (unsigned i = 0; i < LENGTH_BYTES; i++)
        length = length << 8 | bytes->data[i];
    return length;
}

/* Moves up to `wanted` bytes of the packet from the input; false when memory is out. */
static bool fill(struct vici_packets *packets, const uint8_t *data, size_t length, size_t wanted,
                 size_t *used)
{
    size_t missing = wanted > packets->bytes.length ? wanted - packets->bytes.length : 0;
    size_t some = length - *used < missing ? length - *used : missing;

    if (some > 0 && octets_append(&packets->bytes, data + *used, some) != 0)
        return false;
    *used += some;
    return true;
}

/* NULL when all is well, or what is wrong. */
static const char *open_packet(const struct octets *bytes, struct vici_packet *ret_packet)
{
    size_t at = LENGTH_BYTES;
    struct vici_packet packet = {0};

    if (bytes->data[at] > VICI_EVENT)
        return "a packet of a type that doesn't exist";
    packet.type = (enum vici_type)bytes->data[at++];
    if (is_named(packet.type)) {
        if (at == bytes->length || bytes->length - at - 1 < bytes->data[at])
            return "a packet's name is longer than the packet";
        packet.name.length = bytes->data[at++];
        packet.name.data = (const char *)bytes->data + at;
        at += packet.name.length;
    }
    packet.message.data = (const char *)bytes->data + at;
    packet.message.length = bytes->length - at;
    if (!has_message(packet.type) && packet.message.length > 0)
        return "a packet with a message that its type doesn't have";
    *ret_packet = packet;
    return NULL;
}

static enum vici_answer lost(struct vici_packets *packets, const char *reason)
{
    packets->reason = reason;
    return VICI_BAD;
}

enum vici_answer vici_packets_feed(struct vici_packets *packets, const void *data, size_t length,
                                   size_t *ret_used, struct vici_packet *ret_packet)
{
    size_t wanted;
    const char *problem;

    *ret_used = 0;
    if (packets->reason != NULL)
        return VICI_BAD;
    if (packets->complete) {
        packets->offset += packets->bytes.length;
        packets->complete = false;
        if (packets->bytes.capacity > KEPT_BYTES)
            octets_free(&packets->bytes);
        octets_clear(&packets->bytes);
    }
    if (!fill(packets, data, length, LENGTH_BYTES, ret_used))
        return lost(packets, "out of memory");
    if (packets->bytes.length < LENGTH_BYTES)
        return VICI_NEED_MORE;
    wanted = packet_length(&packets->bytes);
    if (wanted > VICI_PACKET_MAXIMUM)
        return lost(packets, "a packet of more than 512 KiB");
    if (wanted == 0)
        return lost(packets, "an empty packet");
    wanted += LENGTH_BYTES;
    if (!fill(packets, data, length, wanted, ret_used))
        return lost(packets, "out of memory");
    if (packets->bytes.length < wanted)
        return VICI_NEED_MORE;
    packets->complete = true;
    problem = open_packet(&packets->bytes, ret_packet);
    return problem != NULL ? lost(packets, problem) : VICI_COMPLETE;
}
