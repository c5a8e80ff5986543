/* mllp-tunneld's connection to charon: the socket under the keeper. */
#include "vpn/tunneld_private.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define READ_BYTES 65536
#define READS_MAXIMUM 16 /* before other things have their turn */

int64_t tunneld_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void tunneld_hang_up(struct tunneld *tunneld)
{
    struct tunneld_socket *charon = tunneld->charon;

    if (charon == NULL)
        return;
    tunneld->charon = NULL;
    uv_poll_stop(&charon->poll);
    uv_close((uv_handle_t *)&charon->poll, on_closed);
    close(charon->fd);
}

static void lose(struct tunneld *tunneld, const char *what, int error)
{
    char reason[128];

    snprintf(reason, sizeof reason, "%s: %s", what, strerror(error));
    keeper_lost(tunneld->keeper, tunneld_now_ms(), reason);
}

/* Connected means that there is a socket: tunneld_settle() sees to that. */
static bool is_connected(const struct tunneld *tunneld)
{
    return tunneld->charon != NULL && keeper_state(tunneld->keeper) == VICI_CLIENT_CONNECTED;
}

static void read_some(struct tunneld *tunneld)
{
    char bytes[READ_BYTES];

    for (int i = 0; i < READS_MAXIMUM && is_connected(tunneld); i++) {
        ssize_t length = recv(tunneld->charon->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (length > 0) {
            keeper_feed(tunneld->keeper, tunneld_now_ms(), bytes, (size_t)length);
        } else if (length == 0) {
            keeper_lost(tunneld->keeper, tunneld_now_ms(), "charon closed the connection");
        } else if (errno == EAGAIN) {
            break;
        } else if (errno != EINTR) {
            lose(tunneld, "charon's socket", errno);
        }
    }
}

static void on_charon(uv_poll_t *poll, int status, int events)
{
    struct tunneld *tunneld = poll->loop->data;

    if (status < 0)
        lose(tunneld, "charon's socket", -status);
    else if ((events & UV_READABLE) != 0)
        read_some(tunneld);
    tunneld_settle(tunneld);
}

static int connect_to(const char *path, int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;

    if (fd < 0)
        return errno;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    /* A unix socket connects at once or not at all. */
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        error = errno;
        close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

static void dial(struct tunneld *tunneld)
{
    const char *path = keeper_config(tunneld->keeper)->tunneld.vici_socket;
    struct tunneld_socket *charon = calloc(1, sizeof *charon);
    int error = charon == NULL ? ENOMEM : connect_to(path, &charon->fd);

    if (error == 0 && uv_poll_init(&tunneld->loop, &charon->poll, charon->fd) != 0) {
        close(charon->fd);
        error = ENOMEM;
    }
    if (error != 0) {
        free(charon);
        lose(tunneld, path, error);
        return;
    }
    charon->poll.data = charon;
    tunneld->charon = charon;
    keeper_connected(tunneld->keeper, tunneld_now_ms());
}

static void write_some(struct tunneld *tunneld)
{
    size_t length;
    const void *data;

    while (is_connected(tunneld) && (data = keeper_output(tunneld->keeper, &length), length > 0)) {
        ssize_t sent = send(tunneld->charon->fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
            keeper_wrote(tunneld->keeper, (size_t)sent);
        } else if (errno == EAGAIN) {
            break;
        } else if (errno != EINTR) {
            lose(tunneld, "charon's socket", errno);
        }
    }
}

static void watch_charon(struct tunneld *tunneld)
{
    size_t length;
    int events = UV_READABLE;

    (void)keeper_output(tunneld->keeper, &length);
    events |= length > 0 ? UV_WRITABLE : 0;
    if (uv_poll_start(&tunneld->charon->poll, events, on_charon) != 0)
        lose(tunneld, "charon's socket", ENOMEM);
}

static void on_deadline(uv_timer_t *timer)
{
    struct tunneld *tunneld = timer->loop->data;

    keeper_set_wall_s(tunneld->keeper, (int64_t)time(NULL));
    keeper_tick(tunneld->keeper, tunneld_now_ms());
    tunneld_settle(tunneld);
}

static void set_deadline(struct tunneld *tunneld)
{
    int64_t deadline_ms = keeper_deadline_ms(tunneld->keeper), now_ms = tunneld_now_ms();

    uv_update_time(&tunneld->loop);
    if (deadline_ms < 0)
        uv_timer_stop(&tunneld->deadline);
    else
        uv_timer_start(&tunneld->deadline, on_deadline,
                       deadline_ms > now_ms ? (uint64_t)(deadline_ms - now_ms) : 0, 0);
}

void tunneld_settle(struct tunneld *tunneld)
{
    if (keeper_state(tunneld->keeper) == VICI_CLIENT_DIALING && tunneld->charon == NULL)
        dial(tunneld);
    write_some(tunneld);
    if (is_connected(tunneld))
        watch_charon(tunneld);
    if (!is_connected(tunneld))
        tunneld_hang_up(tunneld);
    set_deadline(tunneld);
    if (keeper_version(tunneld->keeper) != tunneld->told_version)
        tunneld_tell(tunneld);
}
