#include "tunnels.h"

#include "base/log.h"
#include "tunnel_metrics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LOOK_MS (INT64_C(1) * 1000)
#define BACK_OFF_FIRST_MS 250
#define BACK_OFF_MAXIMUM_MS 4000
#define READ_BYTES ((size_t)64 << 10)
#define READS_IN_A_GO 32u /* two lines of the greatest length */

struct tunnel_reader {
    struct loop *loop;
    struct metrics *metrics;
    struct tunnel_reader_owner owner;
    bool untold; /* a change that the owner could not act upon */
    int64_t told_heard_ms;
    struct tunnel_view *view;
    struct tunnel_view *prepared; /* NULL, or one that is about to be the view */
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    uid_t user;  /* tunneld's */
    int no_user; /* why it is not known: negative errno */
    int fd;
    struct loop_watch watch;
    struct buffer line;
    size_t searched; /* of line: no newline in these */
    bool follows;    /* sequence is that of the connection's last line */
    uint64_t sequence;
    struct timer timer;
    int64_t retry_ms, back_off_ms;
    char problem[224]; /* why nothing is heard: each is logged once */
};

/* ---- what is said of changes ---- */

static const char *state_event(enum tunnel_state state)
{
    switch (state) {
    case TUNNEL_UP:
        return "tunnel-up";
    case TUNNEL_UNKNOWN:
        return "tunnel-unknown";
    default:
        return "tunnel-down";
    }
}

static bool is_down(enum tunnel_state state)
{
    return state == TUNNEL_DOWN || state == TUNNEL_CONNECTING;
}

static void log_change(void *context, const struct tunnel_seen *tunnel, enum tunnel_state before)
{
    const struct tunnel_reader *reader = context;
    const struct status_tunnel *told = tunnel_view_told(reader->view, tunnel);

    if (is_down(tunnel->state) && is_down(before)) {
        return;
    }
    LOG_EVENT(LOG_LEVEL_AUDIT, state_event(tunnel->state), LOG_STRING("tunnel", tunnel->name),
              LOG_STRING("state", tunnel_state_text(tunnel->state)),
              LOG_STRING("before", tunnel_state_text(before)),
              LOG_STRING("peer", told == NULL ? NULL : told->ike.remote_host),
              LOG_STRING("alert", told == NULL || tunnel->state == TUNNEL_UP ? NULL : told->alert),
              LOG_STRING("words", tunnel->other_settings
                                      ? "mllp-tunneld runs it with other settings: reload both"
                                      : NULL));
}

static void tell(struct tunnel_reader *reader, bool changed)
{
    if (changed) {
        reader->untold = !reader->owner.changed(reader->owner.context);
    }
}

/* What has come has been read: what does time make of it? again: also what could not be acted upon. Rules
 * that should be others by now are not prolonged. */
static void conclude(struct tunnel_reader *reader, bool again)
{
    int64_t heard_ms = tunnel_view_heard_ms(reader->view);

    tell(reader,
         tunnel_view_look(reader->view, loop_now_ms(reader->loop)) || (again && reader->untold));
    if (heard_ms != reader->told_heard_ms && !reader->untold) {
        reader->told_heard_ms = heard_ms;
        reader->owner.heard(reader->owner.context, heard_ms);
    }
}

/* ---- the connection ---- */

static void disconnect(struct tunnel_reader *reader)
{
    if (reader->fd >= 0) {
        loop_watch_stop(&reader->watch);
        close(reader->fd);
        reader->fd = -1;
    }
    buffer_free(&reader->line);
    buffer_init(&reader->line, STATUS_LINE_MAXIMUM);
    reader->searched = 0;
    reader->follows = false;
}

static void plan(struct tunnel_reader *reader)
{
    int64_t now_ms = loop_now_ms(reader->loop), due_ms = now_ms + LOOK_MS;

    if (tunnel_view_due_ms(reader->view) < due_ms) {
        due_ms = tunnel_view_due_ms(reader->view);
    }
    if (reader->fd < 0 && reader->retry_ms < due_ms) {
        due_ms = reader->retry_ms;
    }
    if (timers_start(loop_timers(reader->loop), &reader->timer, due_ms) != 0) {
        LOG_EVENT(LOG_LEVEL_ERROR, "timer-failed", LOG_STRING("words", "memory is out"));
    }
}

/* Nothing can be read: tried again later. What is known stays until it is too old. */
static void give_up(struct tunnel_reader *reader, const char *words)
{
    disconnect(reader);
    reader->retry_ms = loop_now_ms(reader->loop) + reader->back_off_ms;
    reader->back_off_ms *= 2;
    if (reader->back_off_ms > BACK_OFF_MAXIMUM_MS) {
        reader->back_off_ms = BACK_OFF_MAXIMUM_MS;
    }
    if (strcmp(reader->problem, words) != 0) {
        snprintf(reader->problem, sizeof(reader->problem), "%s", words);
        LOG_EVENT(LOG_LEVEL_AUDIT, "tunnel-status-lost", LOG_STRING("socket", reader->path),
                  LOG_STRING("words", words));
    }
}

static void heard(struct tunnel_reader *reader)
{
    reader->back_off_ms = BACK_OFF_FIRST_MS;
    if (reader->problem[0] != '\0') {
        reader->problem[0] = '\0';
        LOG_EVENT(LOG_LEVEL_AUDIT, "tunnel-status-connected", LOG_STRING("socket", reader->path));
    }
}

/* False: the connection has ended. */
static bool take_line(struct tunnel_reader *reader, const char *line, size_t length)
{
    struct status status;
    char error[160], words[sizeof(reader->problem)];
    int result = status_read(line, length, &status, error);

    if (result == -ENOMEM) {
        return true; /* as if it had not come */
    }
    if (result == 0 && reader->follows && status.sequence <= reader->sequence) {
        status_free(&status);
        snprintf(error, sizeof(error), "its sequence does not go on");
        result = -EBADMSG;
    }
    if (result != 0) {
        snprintf(words, sizeof(words), "a line is malformed: %s", error);
        give_up(reader, words);
        return false;
    }
    reader->follows = true;
    reader->sequence = status.sequence;
    heard(reader);
    tell(reader, tunnel_view_take(reader->view, loop_now_ms(reader->loop), &status));
    return true;
}

/* False: the connection has ended. */
static bool take_lines(struct tunnel_reader *reader)
{
    for (;;) {
        struct span all = buffer_span(&reader->line);
        const char *end = all.length == reader->searched ? NULL
                                                         : memchr(all.data + reader->searched, '\n',
                                                                  all.length - reader->searched);
        if (end == NULL) {
            reader->searched = all.length;
            return true;
        }
        size_t length = (size_t)(end - all.data) + 1;
        if (!take_line(reader, all.data, length)) {
            return false;
        }
        buffer_consume(&reader->line, length);
        reader->searched = 0;
    }
}

/* False: nothing more now. */
static bool read_some(struct tunnel_reader *reader)
{
    static char bytes[READ_BYTES]; /* of the one thread */
    size_t room = STATUS_LINE_MAXIMUM - reader->line.length;
    ssize_t got = read(reader->fd, bytes, room < sizeof(bytes) ? room : sizeof(bytes));

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (got <= 0) {
        give_up(reader, got == 0 ? "mllp-tunneld closed the connection" : strerror(errno));
        return false;
    }
    if (buffer_append(&reader->line, bytes, (size_t)got) != 0) {
        give_up(reader, "memory is out");
        return false;
    }
    if (!take_lines(reader)) {
        return false;
    }
    if (reader->line.length >= STATUS_LINE_MAXIMUM) {
        give_up(reader, "a line is too long");
        return false;
    }
    return true;
}

static void read_all(struct tunnel_reader *reader)
{
    for (unsigned i = 0; i < READS_IN_A_GO && read_some(reader); i++) {
    }
}

static void on_readable(void *context, int events)
{
    struct tunnel_reader *reader = context;

    (void)events;
    loop_refresh(reader->loop); /* this iteration may have begun with a long reload */
    read_all(reader);
    conclude(reader, false);
    tunnel_metrics_publish(reader->metrics, reader->view, loop_now_ms(reader->loop));
    plan(reader);
}

/* Who listens there, by the kernel's word. */
static int check_peer(const struct tunnel_reader *reader, int fd, char *words, size_t size)
{
    struct ucred credentials;
    socklen_t length = sizeof(credentials);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
        snprintf(words, size, "who listens there is not known: %s", strerror(errno));
        return -EPERM;
    }
    if (credentials.uid != reader->user) {
        snprintf(words, size,
                 "uid %lu listens there, and tunneld.user is uid %lu: its status is not believed",
                 (unsigned long)credentials.uid, (unsigned long)reader->user);
        return -EPERM;
    }
    return 0;
}

/* A connected socket; taken over. */
static void attach(struct tunnel_reader *reader, int fd)
{
    char words[160];

    reader->fd = fd;
    if (check_peer(reader, fd, words, sizeof(words)) != 0) {
        give_up(reader, words);
    } else if (loop_watch_start(reader->loop, &reader->watch, fd, UV_READABLE, on_readable,
                                reader) != 0) {
        give_up(reader, "memory is out");
    }
}

static void connect_to_tunneld(struct tunnel_reader *reader)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (reader->no_user != 0) {
        give_up(reader, "there is no such user as tunneld.user: nobody's status is believed");
        return;
    }
    if (reader->path[0] == '\0') {
        give_up(reader, "tunneld.status_socket is too long for a socket's path");
        return;
    }
    memcpy(address.sun_path, reader->path, sizeof(address.sun_path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        const char *words = errno == ENOENT || errno == ECONNREFUSED
                                ? "nobody listens there: mllp-tunneld does not run"
                                : strerror(errno);
        if (fd >= 0) {
            close(fd);
        }
        give_up(reader, words);
        return;
    }
    attach(reader, fd);
}

/* ---- time ---- */

static void look(struct timer *timer)
{
    struct tunnel_reader *reader = LIST_ENTRY(timer, struct tunnel_reader, timer);

    loop_refresh(reader->loop);
    if (reader->fd >= 0) {
        read_all(reader); /* the loop may have been busy: what lies there unread is no silence */
    } else if (loop_now_ms(reader->loop) >= reader->retry_ms) {
        connect_to_tunneld(reader);
    }
    conclude(reader, true);
    tunnel_metrics_publish(reader->metrics, reader->view, loop_now_ms(reader->loop));
    plan(reader);
}

/* ---- the configuration ---- */

const struct tunnel_view *tunnel_reader_prepare(struct tunnel_reader *reader,
                                                const struct config *config)
{
    tunnel_view_free(&reader->prepared);
    if (reader->fd >= 0) {
        look(&reader->timer); /* by what is known now */
    }
    loop_refresh(reader->loop);
    reader->prepared = tunnel_view_next(reader->view, loop_now_ms(reader->loop), config);
    return reader->prepared;
}

void tunnel_reader_forget(struct tunnel_reader *reader)
{
    tunnel_view_free(&reader->prepared);
}

static void use_view(struct tunnel_reader *reader, const struct config *config)
{
    struct tunnel_view *next = reader->prepared;

    reader->prepared = NULL;
    if (next == NULL) {
        next = tunnel_view_next(reader->view, loop_now_ms(reader->loop), config);
        reader->untold = true; /* the rules were made before this */
    }
    if (next == NULL) {
        LOG_EVENT(LOG_LEVEL_ERROR, "tunnels-not-taken",
                  LOG_STRING("words", "memory is out: reload again"));
        return;
    }
    tunnel_metrics_remove(reader->metrics, reader->view, config);
    tunnel_view_replace(&reader->view, next);
}

void tunnel_reader_use(struct tunnel_reader *reader, const struct config *config)
{
    gid_t group;

    loop_refresh(reader->loop); /* a reload may have taken long */
    use_view(reader, config);
    memset(reader->path, 0, sizeof(reader->path));
    if (strlen(config->tunneld.status_socket) < sizeof(reader->path)) {
        memcpy(reader->path, config->tunneld.status_socket, strlen(config->tunneld.status_socket));
    }
    if (config->tunnel_count == 0) {
        disconnect(reader);
        timers_stop(loop_timers(reader->loop), &reader->timer);
        return;
    }
    reader->no_user = config_tunneld_user(config, &reader->user, &group);
    if (reader->fd < 0) {
        reader->retry_ms = loop_now_ms(reader->loop);
    }
    look(&reader->timer);
}

/* ---- life ---- */

const struct tunnel_view *tunnel_reader_view(const struct tunnel_reader *reader)
{
    return reader->view;
}

const char *tunnel_reader_problem(const struct tunnel_reader *reader)
{
    return reader->problem;
}

struct tunnel_reader *tunnel_reader_new(struct loop *loop, struct metrics *metrics,
                                        const struct tunnel_reader_owner *owner)
{
    struct tunnel_reader *reader = calloc(1, sizeof(*reader));

    if (reader == NULL) {
        return NULL;
    }
    reader->loop = loop;
    reader->metrics = metrics;
    reader->owner = *owner;
    reader->told_heard_ms = ADMISSION_NEVER;
    reader->fd = -1;
    reader->back_off_ms = BACK_OFF_FIRST_MS;
    reader->timer.fire = look;
    buffer_init(&reader->line, STATUS_LINE_MAXIMUM);
    reader->view = tunnel_view_new(log_change, reader);
    if (reader->view == NULL) {
        free(reader);
        return NULL;
    }
    return reader;
}

void tunnel_reader_free(struct tunnel_reader **pointer)
{
    struct tunnel_reader *reader = *pointer;

    *pointer = NULL;
    if (reader == NULL) {
        return;
    }
    timers_stop(loop_timers(reader->loop), &reader->timer);
    disconnect(reader);
    buffer_free(&reader->line);
    tunnel_view_free(&reader->prepared);
    tunnel_view_free(&reader->view);
    free(reader);
}
