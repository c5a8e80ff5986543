/* links: vpn */
/* A stream from charon: cut into packets in one go and in small pieces, with the same outcome; every
 * message is walked, and built again from its elements it is the same, byte by byte; read as SAs it
 * is refused just when it is malformed, and what is kept of it stays within its bounds. Then client and
 * tunnels follow it: each request has one outcome. */
#include "vpn/tunnels.h"
#include "vpn/vici_client.h"

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

/* --- client and tunnels ------------------------------------------------------------------- */

struct follower {
    struct vici_client *client;
    struct tunnels *tunnels;
    int64_t now_ms;
    unsigned asked, done, lost;
};

static void on_listed(void *context, enum vici_outcome outcome, struct vici_text message);

static void on_item(void *context, struct vici_text message)
{
    struct follower *follower = context;
    check(tunnels_take(follower->tunnels, follower->now_ms, "list-sa", message) == 0 ||
          tunnels_at(follower->tunnels, 0)->child_count == TUNNEL_SAS_MAXIMUM ||
          tunnels_at(follower->tunnels, 0)->ike_count == TUNNEL_SAS_MAXIMUM);
}

static void on_event(void *context, const char *name, struct vici_text message)
{
    struct follower *follower = context;
    int error = tunnels_take(follower->tunnels, follower->now_ms, name, message);
    check(error == 0 || error == -ENOBUFS);
}

static void on_event_missing(void *context, const char *name)
{
    (void)context;
    check(strlen(name) > 0);
}

static void list(struct follower *follower)
{
    tunnels_begin_listing(follower->tunnels);
    follower->asked += vici_client_stream(follower->client, follower->now_ms, "list-sas", NULL,
                                          1000, "list-sa", on_item, on_listed, follower) == 0;
}

static void on_listed(void *context, enum vici_outcome outcome, struct vici_text message)
{
    struct follower *follower = context;

    (void)message;
    follower->done++;
    if (outcome == VICI_OUTCOME_LOST)
        return;
    tunnels_end_listing(follower->tunnels, follower->now_ms, false);
    list(follower);
}

static void on_connected(void *context)
{
    list(context);
}

static void on_lost(void *context, const char *reason)
{
    struct follower *follower = context;

    check(reason != NULL && follower->done == follower->asked);
    follower->lost++;
    tunnels_lost(follower->tunnels, follower->now_ms);
    check(tunnels_at(follower->tunnels, 0)->state == TUNNEL_UNKNOWN);
}

static void follow(const uint8_t *data, size_t size)
{
    static const char *const events[] = TUNNELS_EVENTS;
    static const struct selector wide = {.last = {255}, .port_last = 65535};
    static const struct tunnel_wanted wanted = {.name = "site", .local = &wide, .local_count = 1};
    const struct vici_client_settings settings = {.events = events,
                                                  .event_count = TUNNELS_EVENT_COUNT,
                                                  .register_timeout_ms = 1000,
                                                  .seed = 1};
    const struct vici_client_handlers handlers = {on_connected, on_lost, on_event,
                                                  on_event_missing};
    struct follower follower = {.tunnels = tunnels_new(NULL, NULL)};

    follower.client = vici_client_new(&settings, &handlers, &follower, 0);
    check(follower.tunnels != NULL && follower.client != NULL);
    check(tunnels_configure(follower.tunnels, 0, &wanted, 1) == 0);
    vici_client_tick(follower.client, 0);
    vici_client_connected(follower.client, 0);
    for (size_t at = 0; at < size; at += 100) {
        follower.now_ms += 50;
        vici_client_feed(follower.client, follower.now_ms, data + at,
                         size - at < 100 ? size - at : 100);
    }
    vici_client_lost(follower.client, follower.now_ms, "the end");
    check(follower.lost == 1);
    vici_client_free(&follower.client);
    tunnels_free(&follower.tunnels);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole = run(data, size, size), pieces = run(data, size, 3);

    check(whole.packets == pieces.packets && whole.bytes == pieces.bytes);
    check(whole.reason == pieces.reason);
    walk((struct vici_text){.data = (const char *)data, .length = size});
    follow(data, size);
    return 0;
}
