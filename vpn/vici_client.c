#include "vpn/vici_client.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BACKOFF_MS 1000 /* at most: half of it is VICI_CLIENT_BACKOFF_MINIMUM_MS */

/* What an answer is waited for. */
enum kind {
    KIND_COMMAND,
    KIND_REGISTER_FOLLOWED, /* an event of the settings */
    KIND_REGISTER_STREAM,   /* an event that streams a command's items */
};

struct request {
    struct request *next;
    enum kind kind;
    int64_t timeout_ms;
    char event[VICI_NAME_MAXIMUM + 1]; /* what is registered, or what streams the items */
    vici_client_item *item;
    vici_client_done *done;
    void *context;
};

/* An event registered on this connection. */
struct registration {
    char name[VICI_NAME_MAXIMUM + 1];
    bool streams; /* items of commands: comes for the head of the queue only */
};

struct vici_client {
    struct vici_client_settings settings;
    struct vici_client_handlers handlers;
    void *context;
    enum vici_client_state state;
    int64_t deadline_ms; /* WAITING, DIALING: always; CONNECTED: while there is a head */
    int64_t backoff_ms;  /* the longest that the next wait may be */
    uint64_t chance;
    struct request *head, **tail;
    size_t count;
    struct registration registrations[2 * VICI_CLIENT_EVENTS_MAXIMUM];
    size_t registered;
    struct octets out;
    size_t sent; /* bytes of out that are written, and wiped */
    struct vici_packets packets;
    bool feeding; /* a callback may still look at the packet */
};

/* --- the queue ---------------------------------------------------------------------------- */

static void set_head_deadline(struct vici_client *client, int64_t now_ms)
{
    client->deadline_ms = client->head != NULL ? now_ms + client->head->timeout_ms : -1;
}

static struct request *take_head(struct vici_client *client)
{
    struct request *request = client->head;

    client->head = request->next;
    if (client->head == NULL)
        client->tail = &client->head;
    client->count--;
    return request;
}

static int64_t chance_below(struct vici_client *client, int64_t limit)
{
    /* xorshift64: spreading reconnects needs no more */
    client->chance ^= client->chance << 13;
    client->chance ^= client->chance >> 7;
    client->chance ^= client->chance << 17;
    return (int64_t)(client->chance % (uint64_t)limit);
}

/* Half of the longest wait to all of it. */
static void wait_before_dialing(struct vici_client *client, int64_t now_ms)
{
    int64_t half = client->backoff_ms / 2;

    client->state = VICI_CLIENT_WAITING;
    client->deadline_ms = now_ms + half + chance_below(client, half + 1);
    client->backoff_ms *= 2;
    if (client->backoff_ms > VICI_CLIENT_BACKOFF_MAXIMUM_MS)
        client->backoff_ms = VICI_CLIENT_BACKOFF_MAXIMUM_MS;
}

void vici_client_lost(struct vici_client *client, int64_t now_ms, const char *reason)
{
    const struct vici_text nothing = {0};

    if (client->state == VICI_CLIENT_WAITING)
        return;
    /* First, so that requests made in the callbacks are refused. */
    wait_before_dialing(client, now_ms);
    octets_free(&client->out);
    client->sent = 0;
    client->registered = 0;
    if (!client->feeding)
        vici_packets_free(&client->packets);
    while (client->head != NULL) {
        struct request *request = take_head(client);
        if (request->done != NULL)
            request->done(request->context, VICI_OUTCOME_LOST, nothing);
        free(request);
    }
    client->handlers.lost(client->context, reason);
}

/* --- sending ------------------------------------------------------------------------------ */

static struct registration *find_registration(struct vici_client *client, struct vici_text name)
{
    for (size_t i = 0; i < client->registered; i++) {
        if (vici_text_is(name, client->registrations[i].name))
            return &client->registrations[i];
    }
    return NULL;
}

/* Appends the packet and the request that waits for its answer: both or neither. */
static int send_request(struct vici_client *client, int64_t now_ms, enum vici_type type,
                        const char *name, const struct vici_builder *message,
                        const struct request *request)
{
    struct request *copy;
    int error;

    if (client->count == VICI_CLIENT_REQUESTS_MAXIMUM)
        return -ENOBUFS;
    copy = malloc(sizeof *copy);
    if (copy == NULL)
        return -ENOMEM;
    error = vici_packet_write(&client->out, type, name, message);
    if (error != 0) {
        free(copy);
        return error;
    }
    *copy = *request;
    copy->next = NULL;
    *client->tail = copy;
    client->tail = &copy->next;
    if (client->count++ == 0)
        set_head_deadline(client, now_ms);
    return 0;
}

static int register_event(struct vici_client *client, int64_t now_ms, const char *name,
                          enum kind kind, int64_t timeout_ms)
{
    struct request request = {.kind = kind, .timeout_ms = timeout_ms};
    struct registration *registration = &client->registrations[client->registered];
    int error;

    if (strlen(name) > VICI_NAME_MAXIMUM)
        return -EMSGSIZE;
    if (client->registered == sizeof client->registrations / sizeof client->registrations[0])
        return -ENOBUFS;
    snprintf(request.event, sizeof request.event, "%s", name);
    error = send_request(client, now_ms, VICI_EVENT_REGISTER, name, NULL, &request);
    if (error != 0)
        return error;
    memcpy(registration->name, request.event, sizeof registration->name);
    registration->streams = kind == KIND_REGISTER_STREAM;
    client->registered++;
    return 0;
}

/* The output's own limit means that too much waits; the packet's means that it is too large. */
static int check_room(const struct vici_client *client, const struct vici_builder *message)
{
    size_t length = message != NULL ? message->bytes.length : 0;

    if (client->state != VICI_CLIENT_CONNECTED)
        return -ENOTCONN;
    if (client->count + 2 > VICI_CLIENT_REQUESTS_MAXIMUM || /* a stream may need two */
        length + 1024 > client->out.maximum - client->out.length)
        return -ENOBUFS;
    return 0;
}

int vici_client_request(struct vici_client *client, int64_t now_ms, const char *command,
                        const struct vici_builder *message, int64_t timeout_ms,
                        vici_client_done *done, void *context)
{
    struct request request = {
        .kind = KIND_COMMAND, .timeout_ms = timeout_ms, .done = done, .context = context};
    int error = check_room(client, message);

    if (error != 0)
        return error;
    return send_request(client, now_ms, VICI_CMD_REQUEST, command, message, &request);
}

int vici_client_stream(struct vici_client *client, int64_t now_ms, const char *command,
                       const struct vici_builder *message, int64_t timeout_ms, const char *event,
                       vici_client_item *item, vici_client_done *done, void *context)
{
    struct request request = {.kind = KIND_COMMAND,
                              .timeout_ms = timeout_ms,
                              .item = item,
                              .done = done,
                              .context = context};
    int error = check_room(client, message);

    if (error != 0)
        return error;
    if (message != NULL && vici_builder_finish(message) != 0)
        return vici_builder_finish(message);
    /* Once a connection: such events come only to whoever asks with the command. */
    if (find_registration(client, vici_text_of(event)) == NULL) {
        error = register_event(client, now_ms, event, KIND_REGISTER_STREAM, timeout_ms);
        if (error != 0)
            return error;
    }
    snprintf(request.event, sizeof request.event, "%s", event);
    return send_request(client, now_ms, VICI_CMD_REQUEST, command, message, &request);
}

const void *vici_client_output(const struct vici_client *client, size_t *ret_length)
{
    *ret_length = client->out.length - client->sent;
    return *ret_length > 0 ? client->out.data + client->sent : NULL;
}

void vici_client_wrote(struct vici_client *client, size_t length)
{
    if (length == 0 || client->state != VICI_CLIENT_CONNECTED)
        return;
    assert(length <= client->out.length - client->sent);
    explicit_bzero(client->out.data + client->sent, length);
    client->sent += length;
    if (client->sent == client->out.length)
        octets_free(&client->out);
    else if (client->sent > client->out.length / 2)
        octets_consume(&client->out, client->sent);
    else
        return;
    client->sent = 0;
}

/* --- receiving ---------------------------------------------------------------------------- */

/* Handlers are never shown a malformed message. */
static bool is_well_formed(struct vici_text message)
{
    struct vici_element element = {.type = VICI_LIST_END};
    struct vici_reader reader;

    vici_reader_init(&reader, message);
    while (vici_reader_next(&reader, &element) == VICI_COMPLETE) {
        if (element.type == VICI_MESSAGE_END)
            return true;
    }
    return false;
}

/* NULL, or why the connection is lost. */
static const char *take_event(struct vici_client *client, const struct vici_packet *packet)
{
    const struct registration *registration = find_registration(client, packet->name);

    if (registration == NULL)
        return "charon sent an event that was not asked for";
    if (!registration->streams) {
        client->handlers.event(client->context, registration->name, packet->message);
        return NULL;
    }
    if (client->head == NULL || client->head->item == NULL ||
        !vici_text_is(packet->name, client->head->event))
        return "charon sent an item of a list that was not asked for";
    client->head->item(client->head->context, packet->message);
    return NULL;
}

static void answer_registration(struct vici_client *client, const struct request *request,
                                bool known)
{
    struct registration *registration = find_registration(client, vici_text_of(request->event));

    if (known || registration == NULL)
        return;
    *registration = client->registrations[--client->registered];
    if (request->kind == KIND_REGISTER_FOLLOWED)
        client->handlers.event_missing(client->context, request->event);
}

/* NULL, or why the connection is lost. */
static const char *take_answer(struct vici_client *client, int64_t now_ms,
                               const struct vici_packet *packet)
{
    bool of_command = packet->type == VICI_CMD_RESPONSE || packet->type == VICI_CMD_UNKNOWN;
    struct request *request = client->head;

    if (request == NULL)
        return "charon sent an answer that was not asked for";
    if (of_command != (request->kind == KIND_COMMAND))
        return "charon answered something other than what was asked";
    client->backoff_ms = FIRST_BACKOFF_MS; /* it is alive */
    take_head(client);
    set_head_deadline(client, now_ms);
    if (!of_command)
        answer_registration(client, request, packet->type == VICI_EVENT_CONFIRM);
    else
        request->done(request->context,
                      packet->type == VICI_CMD_RESPONSE ? VICI_OUTCOME_ANSWER
                                                        : VICI_OUTCOME_UNKNOWN_COMMAND,
                      packet->message);
    free(request);
    return NULL;
}

static const char *take_packet(struct vici_client *client, int64_t now_ms,
                               const struct vici_packet *packet)
{
    if (!is_well_formed(packet->message))
        return "charon sent a malformed message";
    switch (packet->type) {
    case VICI_EVENT:
        return take_event(client, packet);
    case VICI_CMD_RESPONSE:
    case VICI_CMD_UNKNOWN:
    case VICI_EVENT_CONFIRM:
    case VICI_EVENT_UNKNOWN:
        return take_answer(client, now_ms, packet);
    case VICI_CMD_REQUEST:
    case VICI_EVENT_REGISTER:
    case VICI_EVENT_UNREGISTER:
        break;
    }
    return "charon sent a packet that only clients send";
}

void vici_client_feed(struct vici_client *client, int64_t now_ms, const void *data, size_t length)
{
    const char *bytes = data, *reason = NULL;

    client->feeding = true;
    /* A callback may lose the connection: what is left of the bytes was that connection's. */
    while (client->state == VICI_CLIENT_CONNECTED && reason == NULL) {
        struct vici_packet packet;
        size_t used;
        enum vici_answer answer =
            vici_packets_feed(&client->packets, bytes, length, &used, &packet);
        if (answer == VICI_NEED_MORE)
            break;
        bytes += used;
        length -= used;
        reason = answer == VICI_BAD ? client->packets.reason : take_packet(client, now_ms, &packet);
    }
    client->feeding = false;
    if (reason != NULL)
        vici_client_lost(client, now_ms, reason);
    else if (client->state != VICI_CLIENT_CONNECTED)
        vici_packets_free(&client->packets);
}

/* --- the connection ----------------------------------------------------------------------- */

void vici_client_connected(struct vici_client *client, int64_t now_ms)
{
    if (client->state != VICI_CLIENT_DIALING)
        return;
    client->state = VICI_CLIENT_CONNECTED;
    client->deadline_ms = -1;
    for (size_t i = 0; i < client->settings.event_count; i++) {
        if (register_event(client, now_ms, client->settings.events[i], KIND_REGISTER_FOLLOWED,
                           client->settings.register_timeout_ms) != 0) {
            vici_client_lost(client, now_ms, "out of memory");
            return;
        }
    }
    client->handlers.connected(client->context);
}

void vici_client_tick(struct vici_client *client, int64_t now_ms)
{
    if (client->deadline_ms < 0 || now_ms < client->deadline_ms)
        return;
    switch (client->state) {
    case VICI_CLIENT_WAITING:
        client->state = VICI_CLIENT_DIALING;
        client->deadline_ms = now_ms + VICI_CLIENT_DIAL_TIMEOUT_MS;
        break;
    case VICI_CLIENT_DIALING:
        vici_client_lost(client, now_ms, "charon's socket does not accept connections");
        break;
    case VICI_CLIENT_CONNECTED:
        vici_client_lost(client, now_ms, "charon did not answer in time");
        break;
    }
}

enum vici_client_state vici_client_state(const struct vici_client *client)
{
    return client->state;
}

int64_t vici_client_deadline_ms(const struct vici_client *client)
{
    return client->deadline_ms;
}

struct vici_client *vici_client_new(const struct vici_client_settings *settings,
                                    const struct vici_client_handlers *handlers, void *context,
                                    int64_t now_ms)
{
    struct vici_client *client;

    if (settings->event_count > VICI_CLIENT_EVENTS_MAXIMUM)
        return NULL;
    client = calloc(1, sizeof *client);
    if (client == NULL)
        return NULL;
    client->settings = *settings;
    client->handlers = *handlers;
    client->context = context;
    client->state = VICI_CLIENT_WAITING;
    client->deadline_ms = now_ms;
    client->backoff_ms = FIRST_BACKOFF_MS;
    client->chance = settings->seed | 1u << 31; /* never 0: it would stay 0 */
    client->tail = &client->head;
    octets_init(&client->out, VICI_CLIENT_OUTPUT_MAXIMUM);
    vici_packets_init(&client->packets);
    return client;
}

void vici_client_free(struct vici_client **client)
{
    if (*client == NULL)
        return;
    while ((*client)->head != NULL)
        free(take_head(*client));
    octets_free(&(*client)->out);
    vici_packets_free(&(*client)->packets);
    free(*client);
    *client = NULL;
}
