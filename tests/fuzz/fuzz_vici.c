/* links: vpn */
/* A stream from charon: cut into packets in one go and in small pieces, with the same outcome; every
 * message is walked, and built again from its elements it is the same, byte by byte; read as SAs it
 * is refused just when it is malformed, and what is kept of it stays within its bounds. */
#include "vpn/sa.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

static void put_name(char *buffer, struct vici_text name)
{
    if (name.length > 0)
        memcpy(buffer, name.data, name.length);
    buffer[name.length] = '\0';
}

static void rebuild(struct vici_builder *builder, const struct vici_element *element)
{
    char name[VICI_NAME_MAXIMUM + 1];

    put_name(name, element->name);
    switch (element->type) {
    case VICI_SECTION_START:
        vici_builder_section_start(builder, name);
        break;
    case VICI_SECTION_END:
        vici_builder_section_end(builder);
        break;
    case VICI_KEY_VALUE:
        vici_builder_value(builder, name, element->value.data, element->value.length);
        break;
    case VICI_LIST_START:
        vici_builder_list_start(builder, name);
        break;
    case VICI_LIST_ITEM:
        vici_builder_item(builder, element->value.data, element->value.length);
        break;
    case VICI_LIST_END:
        vici_builder_list_end(builder);
        break;
    case VICI_MESSAGE_END:
        break;
    }
}

static bool lies_in(struct vici_text inner, struct vici_text outer)
{
    return inner.length == 0 ||
           (inner.data >= outer.data && inner.data + inner.length <= outer.data + outer.length);
}

static void check_selectors(const struct sa_selectors *selectors)
{
    check(selectors->count <= SA_SELECTORS_MAXIMUM);
    for (size_t i = 0; i < selectors->count; i++) {
        struct selector again;
        char text[SELECTOR_TEXT_BYTES], text_again[SELECTOR_TEXT_BYTES];
        selector_print(&selectors->items[i], text);
        check(selector_parse(text, strlen(text), &again) == NULL);
        selector_print(&again, text_again);
        check(strcmp(text, text_again) == 0);
        check(selector_is_covered(&selectors->items[i], &again, 1) || again.dynamic);
    }
}

static void read_sas(struct vici_text message, bool whole)
{
    struct sa_message sas;
    int error = sa_message_read(message, &sas);

    check(error == (whole ? 0 : -EBADMSG));
    if (error != 0)
        return;
    check(sas.count <= SA_IKES_MAXIMUM);
    for (size_t i = 0; i < sas.count; i++) {
        const struct sa_ike *ike = &sas.ikes[i];
        check(ike->uniqueid != 0 && ike->count <= SA_CHILDREN_MAXIMUM);
        for (size_t k = 0; k < ike->count; k++) {
            check(ike->children[k].uniqueid != 0);
            check_selectors(&ike->children[k].local);
            check_selectors(&ike->children[k].remote);
        }
    }
    sa_message_free(&sas);
}

static void walk(struct vici_text message)
{
    struct vici_builder builder;
    struct vici_element element;
    struct vici_reader reader;
    enum vici_answer answer;
    bool has_nul = false;

    vici_builder_init(&builder);
    vici_reader_init(&reader, message);
    while ((answer = vici_reader_next(&reader, &element)) == VICI_COMPLETE &&
           element.type != VICI_MESSAGE_END) {
        check(lies_in(element.name, message) && lies_in(element.value, message));
        check(reader.offset <= message.length);
        has_nul = has_nul || (element.name.length > 0 &&
                              memchr(element.name.data, '\0', element.name.length) != NULL);
        rebuild(&builder, &element);
    }
    check((answer == VICI_BAD) == (reader.reason != NULL));
    check(reader.offset <= message.length);
    if (answer == VICI_COMPLETE && !has_nul) {
        check(vici_builder_finish(&builder) == 0);
        check(builder.bytes.length == message.length);
        check(message.length == 0 || memcmp(builder.bytes.data, message.data, message.length) == 0);
    }
    vici_builder_free(&builder);
    read_sas(message, answer == VICI_COMPLETE);
}

struct outcome {
    size_t packets, bytes;
    const char *reason;
};

static struct outcome run(const uint8_t *data, size_t size, size_t piece)
{
    struct outcome outcome = {0};
    struct vici_packets packets;
    struct vici_packet packet;
    enum vici_answer answer = VICI_NEED_MORE;

    vici_packets_init(&packets);
    for (size_t at = 0; at < size && answer != VICI_BAD;) {
        size_t some = size - at < piece ? size - at : piece, used;
        answer = vici_packets_feed(&packets, data + at, some, &used, &packet);
        check(used <= some && (answer != VICI_NEED_MORE || used == some));
        at += used;
        outcome.bytes += used;
        if (answer == VICI_COMPLETE) {
            outcome.packets++;
            walk(packet.message);
        }
    }
    outcome.reason = packets.reason;
    vici_packets_free(&packets);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole = run(data, size, size), pieces = run(data, size, 3);

    check(whole.packets == pieces.packets && whole.bytes == pieces.bytes);
    check(whole.reason == pieces.reason);
    walk((struct vici_text){.data = (const char *)data, .length = size});
    return 0;
}
