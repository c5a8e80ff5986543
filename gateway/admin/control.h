/*
 * control: the control socket, which mllpctl talks to.
 *
 * A unix stream socket, mode 0660, group control_group. One JSON object a line, at most 64 KB, in;
 * one or more lines out, the last of which has "end": true. A client may send the next line before
 * the answer to the last one has come; answers come in order.
 *
 *   -> {"command": "queue.list", "state": "dead"}
 *   <- {"items": [{"id": 17, ...}, ...]}                          any number of these
 *   <- {"ok": true, "result": {"count": 230}, "end": true}
 *   <- {"ok": false, "code": "permission", "error": "a sentence", "end": true}
 *
 * code: request (not understood), permission, not-found, busy (being delivered just now),
 * out-of-order (replay: the lane went on), state (not in this state), failed.
 *
 *   ping                                          {}
 *   version                                       {"name", "version", "pid"}
 *   settings                                      {"text"}: the reference of all settings
 *   status                                        what admin.h says, and "name", "version", "pid",
 *                                                 "ready", "why"
 *   connections                                   items as admin.h says
 *   tunnels                                       items as admin.h says, one for each tunnel
 *   queue.list     [route lane peer state after limit]
 *                                                 items; {"count", "next"}: "next" is there when limit
 *                                                 ended the list: ask again with it as "after"
 *   queue.show     id [body]                      {"entry"} and with body: "message", "answer"
 *                                                 (base64 or null)
 *   queue.replay   id | all or a filter; [out_of_order]
 *                                                 {"replayed", "failed", "id"}: the new id, for one
 *   queue.discard  id | all or a filter           {"discarded", "failed"}
 *   queue.move     from to                        {"moved"}
 *   reload                                        {"changed", "problems"}; on failure "problems"
 *                                                 stands beside "error"
 *   drain                                         {}
 *
 * An entry: id, route, lane, peer, listener, control_id (escaped, at most 64 bytes), message_type,
 * state (queued, kept, dead), batch, in_flight, attempts, counted_attempts, received_at_ms,
 * due_at_ms, settled_at_ms, bytes, stable_id, last {verdict, status, reason}.
 * Names end in what they are: _at_ms (wall clock), _ms and _s (spans), _bytes.
 *
 * Permission: who may connect may ask for everything but replay, discard, move and bodies: these are
 * for root and operator_group (SO_PEERCRED, SO_PEERGROUPS). Each of these, and reload and drain,
 * writes an audit line with the caller's uid, also when refused; one line an entry.
 *
 * Clients are bounded in number; one that neither sends nor reads is closed after a while and
 * disturbs nobody. Threads: control_new() and control_free(): the composing thread, before the loop
 * starts and after it has ended; control_start(): the loop's thread.
 */
#ifndef MLLPGW_ADMIN_CONTROL_H
#define MLLPGW_ADMIN_CONTROL_H

#include "admin/admin.h"

#include <sys/types.h>

#define CONTROL_LINE_MAXIMUM 65536
#define CONTROL_CLIENTS 32
#define CONTROL_PAGE 200 /* entries looked at in one go on the spool's thread */

struct control;

struct control_caller {
    uid_t uid;
    pid_t pid;
    bool operator; /* root, or in operator_group */
};

struct control_settings {
    const char *path, *control_group, *operator_group;
    int64_t idle_ms; /* a client that sends nothing, or reads nothing, this long is closed */
    /* Who is at the other end of fd: NULL asks the kernel. For tests. */
    int (*identify)(int fd, gid_t operator_gid, struct control_caller *ret_caller);
};

/* Makes the socket (a stale one is replaced, a live one is an error). NULL with a sentence. */
struct control *control_new(const struct admin_gateway *gateway, struct loop *loop,
                            const struct control_settings *settings, char ret_error[512]);
__attribute__((warn_unused_result)) int control_start(struct control *control);
/* Closes all clients; what comes for them afterwards frees its request and asks for nothing more. With
 * the loop ended, before its mailbox is drained for the last time: the spool may have gone by then. */
void control_end(struct control *control);
void control_free(struct control **control);

#endif
