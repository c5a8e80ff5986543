/*
 * reply: an answer that somebody else makes, on its way back to the admin thread.
 *
 * Private to admin/. admin_reply_new() and admin_reply_free(): the admin thread. done runs there too,
 * exactly once, and owns the reply from then on.
 */
#ifndef MLLPGW_ADMIN_REPLY_H
#define MLLPGW_ADMIN_REPLY_H

#include "admin/admin.h"

struct admin_reply {
    struct mail mail; /* first */
    struct mailbox *mailbox;
    void (*done)(struct admin_reply *reply);
    void *context;
    json_t *result; /* NULL: error says why */
    char error[256];
};

/* NULL when memory is out. */
struct admin_reply *admin_reply_new(struct loop *loop, void (*done)(struct admin_reply *reply),
                                    void *context);
void admin_reply_free(struct admin_reply *reply);

#endif
