#include "loop/loop.h"

#include <stdlib.h>

/* libuv's handle lives on until its close callback, the owner's struct loop_watch may not: so the
 * handle is on the heap, and watch is NULL once the owner has let go. */
struct watch_handle {
    uv_poll_t poll; /* first */
    struct loop_watch *watch;
    void (*ready)(void *context, int events);
    void *context;
};

static void watch_on_ready(uv_poll_t *poll, int status, int events)
{
    struct watch_handle *handle = (struct watch_handle *)(void *)poll;

    if (handle->watch == NULL)
        return;
    /* libuv turns EPOLLERR into a status and stops; the owner learns what is wrong from its next
     * read or write, so let it try. */
    handle->ready(handle->context, status < 0 ? handle->watch->events : events);
    if (handle->watch != NULL && handle->watch->events != 0 &&
        !uv_is_active((uv_handle_t *)&handle->poll))
        (void)uv_poll_start(&handle->poll, handle->watch->events, watch_on_ready);
}

static void watch_on_closed(uv_handle_t *poll)
{
    free(poll);
}

int loop_watch_start(struct loop *loop, struct loop_watch *watch, int fd, int events,
                     void (*ready)(void *context, int events), void *context)
{
    struct watch_handle *handle = calloc(1, sizeof(*handle));
    int result;

    if (handle == NULL)
        return UV_ENOMEM;
    result = uv_poll_init(loop_uv(loop), &handle->poll, fd);
    if (result != 0) {
        free(handle);
        return result;
    }
    handle->watch = watch;
    handle->ready = ready;
    handle->context = context;
    *watch = (struct loop_watch){.poll = &handle->poll};
    loop_watch_set(watch, events);
    return 0;
}

void loop_watch_set(struct loop_watch *watch, int events)
{
    /* Each change costs two epoll_ctl() calls. */
    if (watch->poll == NULL || watch->events == events)
        return;
    watch->events = events;
    if (events == 0)
        uv_poll_stop(watch->poll);
    else
        (void)uv_poll_start(watch->poll, events, watch_on_ready);
}

void loop_watch_stop(struct loop_watch *watch)
{
    if (watch->poll == NULL)
        return;
    ((struct watch_handle *)(void *)watch->poll)->watch = NULL;
    uv_poll_stop(watch->poll);
    uv_close((uv_handle_t *)watch->poll, watch_on_closed);
    *watch = (struct loop_watch){0};
}
