#include "admin/reply.h"

#include <stdio.h>
#include <stdlib.h>

struct admin_reply *admin_reply_new(struct loop *loop, void (*done)(struct admin_reply *reply),
                                    void *context)
{
    struct admin_reply *reply = calloc(1, sizeof *reply);

    if (reply == NULL)
        return NULL;
    reply->mailbox = loop_mailbox(loop);
    reply->done = done;
    reply->context = context;
    return reply;
}

void admin_reply_free(struct admin_reply *reply)
{
    if (reply == NULL)
        return;
    json_decref(reply->result);
    free(reply);
}

static void reply_deliver(struct mail *mail)
{
    struct admin_reply *reply = (struct admin_reply *)(void *)mail;

    reply->done(reply);
}

void admin_reply_finish(struct admin_reply *reply, json_t *result, const char *error)
{
    reply->result = result;
    if (result == NULL)
        snprintf(reply->error, sizeof reply->error, "%s",
                 error != NULL ? error : "no answer could be made");
    reply->mail.deliver = reply_deliver;
    mailbox_post(reply->mailbox, &reply->mail);
}

struct mailbox *admin_reply_mailbox(struct admin_reply *reply)
{
    return reply->mailbox;
}
