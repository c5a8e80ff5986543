/*
 * status_server: the unix stream socket on which mllp-tunneld tells how the tunnels are.
 *
 * Every client gets lines and is never read from: nothing can be asked for or changed through it.
 * One that does not take its lines is dropped after STATUS_SERVER_BEHIND of them; a line that it has
 * begun is always finished first. The socket is 0660: its group may connect.
 *
 * While no descriptor is left nobody is accepted; it is logged once, and tried again each second.
 *
 * A socket that was left behind is replaced; one that somebody still answers on is -EADDRINUSE.
 * Ownership: status_server_close(); the loop must run once more then. Threads: the loop's.
 */
#ifndef MLLPGW_VPN_STATUS_SERVER_H
#define MLLPGW_VPN_STATUS_SERVER_H

#include <stddef.h>
#include <sys/types.h>
#include <uv.h>

#define STATUS_SERVER_CLIENTS 16u
#define STATUS_SERVER_BEHIND 5u
#define STATUS_SERVER_ERROR_BYTES 256

struct status_server;

/* Somebody connected: its first line, to be freed by the server; NULL: none, it is dropped. */
typedef char *status_server_greet(void *context, size_t *ret_length);

/* group: (gid_t)-1: the process's own. One that it may not give the socket to is no error: *ret_group
 * tells which one it has. 0, or a negative errno with a sentence. */
__attribute__((warn_unused_result)) int
status_server_open(uv_loop_t *loop, const char *path, gid_t group, status_server_greet *greet,
                   void *context, struct status_server **ret_server, gid_t *ret_group,
                   char ret_error[STATUS_SERVER_ERROR_BYTES]);
void status_server_send(struct status_server *server, const char *line, size_t length);
size_t status_server_clients(const struct status_server *server);
/* Removes the socket and drops all clients; NULL is fine. */
void status_server_close(struct status_server **server);

#endif
