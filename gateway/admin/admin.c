#include "admin/admin.h"

#include "admin/control.h"
#include "admin/web.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADMIN_CONTROL_IDLE_MS 60000

struct admin {
    struct admin_gateway gateway;
    struct loop *loop;
    struct web *web; /* NULL: no HTTP */
    struct control *control;
};

struct admin *admin_new(const struct admin_gateway *gateway, const struct admin_settings *settings,
                        char ret_error[512])
{
    const struct control_settings control = {
        .path = settings->control_socket,
        .control_group = settings->control_group,
        .operator_group = settings->operator_group,
        .idle_ms = ADMIN_CONTROL_IDLE_MS,
    };
    struct admin *admin = calloc(1, sizeof *admin);

    snprintf(ret_error, 512, "out of memory");
    if (admin == NULL)
        return NULL;
    admin->gateway = *gateway;
    admin->loop = loop_new("admin");
    if (admin->loop != NULL)
        admin->control = control_new(&admin->gateway, admin->loop, &control, ret_error);
    if (admin->control != NULL && settings->http_address != NULL)
        admin->web = web_new(&admin->gateway, admin->loop, settings->http_address, ret_error);
    if (admin->control == NULL || (settings->http_address != NULL && admin->web == NULL)) {
        admin_free(&admin);
        return NULL;
    }
    ret_error[0] = '\0';
    return admin;
}

static void admin_on_start(void *context)
{
    struct admin *admin = context;
    int result = control_start(admin->control);

    if (result == 0 && admin->web != NULL)
        result = web_start(admin->web);
    if (result < 0)
        LOG_EVENT(LOG_LEVEL_ERROR, "admin-start-failed", LOG_STRING("reason", strerror(-result)));
}

int admin_start(struct admin *admin)
{
    return loop_start(admin->loop, admin_on_start, admin);
}

struct loop *admin_loop(struct admin *admin)
{
    return admin->loop;
}

int admin_http_port(const struct admin *admin)
{
    return admin->web == NULL ? 0 : web_port(admin->web);
}

/* Answers that came meanwhile free their requests. What they lead to must not ask those who have
 * gone before us: the spool, the workers, the delivery. */
static void admin_drain(struct admin *admin)
{
    if (admin->web != NULL)
        web_end(admin->web);
    if (admin->control != NULL)
        control_end(admin->control);
    while (mailbox_drain(loop_mailbox(admin->loop)) > 0)
        ; /* an answer may come in two steps */
}

void admin_free(struct admin **admin)
{
    struct admin *old = *admin;

    if (old == NULL)
        return;
    if (old->loop != NULL) {
        loop_stop(old->loop);
        loop_join(old->loop);
        admin_drain(old);
    }
    web_free(&old->web);
    control_free(&old->control);
    loop_free(&old->loop);
    free(old);
    *admin = NULL;
}
