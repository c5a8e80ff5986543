/*
 * control_request: one command under way. Private to control*.c.
 *
 * The server makes it from a line; the command ends it with control_finish() or control_fail(), once,
 * at any later time on the admin thread. Its client may have gone meanwhile: what is sent then goes
 * nowhere.
 */
#ifndef MLLPGW_ADMIN_CONTROL_REQUEST_H
#define MLLPGW_ADMIN_CONTROL_REQUEST_H

#include "admin/control.h"

struct control_request {
    const struct admin_gateway *gateway;
    struct loop *loop;
    struct control *control;
    uint64_t client;
    struct control_caller caller;
    json_t *arguments; /* the whole line */
    void (*drained)(struct control_request *request);
    void *context; /* the command's own */
};

/* Takes over the line. */
void control_send(struct control_request *request, json_t *line);
/* result may be NULL (memory is out). Frees the request. */
void control_finish(struct control_request *request, json_t *result);
__attribute__((format(printf, 3, 4))) void control_fail(struct control_request *request,
                                                        const char *code, const char *format, ...);
/* Likewise, with more members for the line; takes over more. */
void control_fail_with(struct control_request *request, const char *code, const char *error,
                       json_t *more);
/* Calls drained when the client has taken what was sent (maybe at once), or has gone. */
void control_when_drained(struct control_request *request,
                          void (*drained)(struct control_request *request));
bool control_client_gone(const struct control_request *request);
/* Nothing may be asked of the spool any more. */
bool control_has_ended(const struct control_request *request);

/* One audit line. entry 0: none. result: "ok" or a code. */
void control_audit(const struct control_request *request, uint64_t entry, const char *result);

/* control_commands.c: looks the command up and runs it. */
void control_dispatch(struct control_request *request);

/* control_show.c */
void control_queue_show(struct control_request *request);
/* control_queue.c */
void control_queue_list(struct control_request *request);
void control_queue_replay(struct control_request *request);
void control_queue_discard(struct control_request *request);
void control_queue_move(struct control_request *request);

#endif
