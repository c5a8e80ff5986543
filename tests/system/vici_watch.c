/* links: vpn */
/*
 * vici_watch: follows one tunnel of a real charon with vpn/'s client and tunnels, for test-vici.
 *
 *   vici_watch SOCKET NAME LOCAL REMOTE IKE_PROPOSAL ESP_PROPOSAL
 *
 * Lists every 200 ms. A line for everything that happens; a line "status ..." whenever that changes.
 * Ends with its standard input.
 */
#include "vpn/tunnels.h"
#include "vpn/vici_client.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define LIST_EVERY_MS 200
#define ANSWER_MS 3000

struct watch {
    const char *path;
    int fd;
    struct vici_client *client;
    struct tunnels *tunnels;
    int64_t next_list_ms;
    bool listing;
    char status[2048];
};

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void fail(const char *what)
{
    fprintf(stderr, "vici_watch: %s\n", what);
    exit(2);
}

/* --- what is told ------------------------------------------------------------------------- */

static size_t tell_selectors(char *text, size_t size, const char *name,
                             const struct sa_selectors *selectors)
{
    size_t used = (size_t)snprintf(text, size, " %s=", name);

    for (size_t i = 0; i < selectors->count && used < size; i++) {
        char each[SELECTOR_TEXT_BYTES];
        selector_print(&selectors->items[i], each);
        used += (size_t)snprintf(text + used, size - used, "%s%s", i > 0 ? "," : "", each);
    }
    return used;
}

static void tell_status(struct watch *watch)
{
    const struct tunnel *tunnel = tunnels_at(watch->tunnels, 0);
    const struct tunnel_ike *ike = tunnel_shown_ike(tunnel);
    char text[sizeof watch->status];
    size_t used =
        (size_t)snprintf(text, sizeof text,
                         "state=%s packets_in=%" PRIu64 " packets_out=%" PRIu64 " bytes_in=%" PRIu64
                         " rekeys=%u flaps=%u warnings=%u ike=%s peer=%s",
                         tunnel_state_text(tunnel->state), tunnel->packets_in, tunnel->packets_out,
                         tunnel->bytes_in, tunnel->rekeys, tunnel->flaps, tunnel->warnings,
                         ike != NULL ? ike->sa.cipher : "", ike != NULL ? ike->sa.remote_id : "");

    for (size_t i = 0; i < tunnel->child_count; i++) {
        if (tunnel_child_counts(&tunnel->children[i])) {
            const struct sa_child *child = &tunnel->children[i].sa;
            used += (size_t)snprintf(text + used, sizeof text - used, " esp=%s", child->cipher);
            used += tell_selectors(text + used, sizeof text - used, "local", &child->local);
            used += tell_selectors(text + used, sizeof text - used, "remote", &child->remote);
        }
    }
    snprintf(text + used, sizeof text - used, " alert=%s", tunnel->alert);
    if (strcmp(text, watch->status) != 0) {
        memcpy(watch->status, text, sizeof text);
        printf("status %s\n", text);
    }
}

static void on_changed(void *context, const struct tunnel *tunnel, enum tunnel_state before)
{
    (void)context;
    if (tunnel->state != before)
        printf("%s -> %s\n", tunnel_state_text(before), tunnel_state_text(tunnel->state));
}

/* --- the client's callbacks --------------------------------------------------------------- */

static void take(struct watch *watch, const char *event, struct vici_text message)
{
    if (tunnels_take(watch->tunnels, now(), event, message) != 0)
        fail("an event could not be taken");
}

static void on_event(void *context, const char *name, struct vici_text message)
{
    printf("event %s\n", name);
    take(context, name, message);
}

static void on_item(void *context, struct vici_text message)
{
    take(context, "list-sa", message);
}

static void on_listed(void *context, enum vici_outcome outcome, struct vici_text message)
{
    struct watch *watch = context;

    (void)message;
    watch->listing = false;
    if (outcome == VICI_OUTCOME_ANSWER)
        tunnels_end_listing(watch->tunnels, now(), false);
    watch->next_list_ms = now() + LIST_EVERY_MS;
}

static void list(struct watch *watch)
{
    struct vici_builder message;
    int error;

    vici_builder_init(&message);
    vici_builder_text(&message, "noblock", "yes");
    tunnels_begin_listing(watch->tunnels);
    error = vici_client_stream(watch->client, now(), "list-sas", &message, ANSWER_MS, "list-sa",
                               on_item, on_listed, watch);
    vici_builder_free(&message);
    if (error != 0)
        fail("list-sas could not be asked");
    watch->listing = true;
}

static void on_version(void *context, enum vici_outcome outcome, struct vici_text message)
{
    struct vici_element element;
    struct vici_reader reader;

    (void)context;
    vici_reader_init(&reader, message);
    while (outcome == VICI_OUTCOME_ANSWER && vici_reader_next(&reader, &element) == VICI_COMPLETE &&
           element.type != VICI_MESSAGE_END) {
        if (vici_text_is(element.name, "version"))
            printf("version %.*s\n", (int)element.value.length, element.value.data);
    }
}

static void on_nonsense(void *context, enum vici_outcome outcome, struct vici_text message)
{
    (void)context;
    (void)message;
    if (outcome == VICI_OUTCOME_UNKNOWN_COMMAND)
        printf("no such command\n");
}

static void on_connected(void *context)
{
    struct watch *watch = context;

    printf("connected\n");
    if (vici_client_request(watch->client, now(), "version", NULL, ANSWER_MS, on_version, watch) !=
            0 ||
        vici_client_request(watch->client, now(), "make-tea", NULL, ANSWER_MS, on_nonsense,
                            watch) != 0)
        fail("version could not be asked");
    list(watch);
}

static void on_lost(void *context, const char *reason)
{
    struct watch *watch = context;

    printf("lost: %s\n", reason);
    tunnels_lost(watch->tunnels, now());
}

static void on_event_missing(void *context, const char *name)
{
    (void)context;
    printf("no event %s\n", name);
}

/* --- the socket --------------------------------------------------------------------------- */

static void hang_up(struct watch *watch)
{
    if (watch->fd >= 0)
        close(watch->fd);
    watch->fd = -1;
}

static void dial(struct watch *watch)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(address.sun_path, sizeof address.sun_path, "%s", watch->path);
    watch->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (watch->fd < 0)
        fail("no socket");
    if (connect(watch->fd, (struct sockaddr *)&address, sizeof address) == 0)
        vici_client_connected(watch->client, now());
    else
        vici_client_lost(watch->client, now(), strerror(errno));
}

static void read_some(struct watch *watch)
{
    char bytes[4096];
    ssize_t length = recv(watch->fd, bytes, sizeof bytes, 0);

    if (length > 0)
        vici_client_feed(watch->client, now(), bytes, (size_t)length);
    else if (length == 0)
        vici_client_lost(watch->client, now(), "charon closed the connection");
    else if (errno != EAGAIN && errno != EINTR)
        vici_client_lost(watch->client, now(), strerror(errno));
}

static void write_some(struct watch *watch)
{
    size_t length;
    const void *bytes = vici_client_output(watch->client, &length);
    ssize_t sent = length > 0 ? send(watch->fd, bytes, length, MSG_NOSIGNAL) : 0;

    if (sent > 0)
        vici_client_wrote(watch->client, (size_t)sent);
    else if (sent < 0 && errno != EAGAIN && errno != EINTR)
        vici_client_lost(watch->client, now(), strerror(errno));
}

static int wait_ms(const struct watch *watch)
{
    int64_t due = vici_client_deadline_ms(watch->client), left;

    if (vici_client_state(watch->client) == VICI_CLIENT_CONNECTED && !watch->listing &&
        (due < 0 || watch->next_list_ms < due))
        due = watch->next_list_ms;
    left = due - now();
    return due < 0 ? -1 : left < 0 ? 0 : (int)left;
}

/* False when standard input has ended. */
static bool turn(struct watch *watch)
{
    struct pollfd polled[2] = {{.fd = watch->fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
    size_t length;
    char byte;

    vici_client_output(watch->client, &length);
    if (length > 0)
        polled[0].events |= POLLOUT;
    if (poll(polled, 2, wait_ms(watch)) < 0 && errno != EINTR)
        fail("poll");
    if (polled[1].revents != 0 && read(0, &byte, 1) <= 0)
        return false;
    if (polled[0].revents & (POLLIN | POLLHUP | POLLERR))
        read_some(watch);
    if (vici_client_state(watch->client) == VICI_CLIENT_CONNECTED)
        write_some(watch);
    if (vici_client_state(watch->client) == VICI_CLIENT_CONNECTED && !watch->listing &&
        now() >= watch->next_list_ms)
        list(watch);
    if (vici_client_state(watch->client) == VICI_CLIENT_WAITING)
        hang_up(watch);
    vici_client_tick(watch->client, now());
    if (vici_client_state(watch->client) == VICI_CLIENT_DIALING && watch->fd < 0)
        dial(watch);
    if (vici_client_state(watch->client) == VICI_CLIENT_WAITING)
        hang_up(watch);
    tell_status(watch);
    return true;
}

static struct selector selector_of(const char *text)
{
    struct selector selector;
    if (selector_parse(text, strlen(text), &selector) != NULL)
        fail("not a selector");
    return selector;
}

int main(int argc, char **argv)
{
    static const char *const events[] = TUNNELS_EVENTS;
    const struct vici_client_settings settings = {.events = events,
                                                  .event_count = TUNNELS_EVENT_COUNT,
                                                  .register_timeout_ms = ANSWER_MS,
                                                  .seed = (uint64_t)getpid()};
    const struct vici_client_handlers handlers = {on_connected, on_lost, on_event,
                                                  on_event_missing};
    struct watch watch = {.fd = -1};

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc != 7)
        fail("usage: vici_watch SOCKET NAME LOCAL REMOTE IKE_PROPOSAL ESP_PROPOSAL");
    const struct selector local = selector_of(argv[3]), remote = selector_of(argv[4]);
    const char *const ike[] = {argv[5]}, *const esp[] = {argv[6]};
    const struct tunnel_wanted wanted = {.name = argv[2],
                                         .local = &local,
                                         .local_count = 1,
                                         .remote = &remote,
                                         .remote_count = 1,
                                         .ike_proposals = ike,
                                         .ike_proposal_count = 1,
                                         .esp_proposals = esp,
                                         .esp_proposal_count = 1};
    watch.path = argv[1];
    watch.tunnels = tunnels_new(on_changed, NULL);
    watch.client = vici_client_new(&settings, &handlers, &watch, now());
    if (watch.tunnels == NULL || watch.client == NULL ||
        tunnels_configure(watch.tunnels, now(), &wanted, 1) != 0)
        fail("out of memory");
    while (turn(&watch))
        ;
    vici_client_free(&watch.client);
    tunnels_free(&watch.tunnels);
    hang_up(&watch);
    return 0;
}
