/*
 * control_socket: the listening unix socket and who is at the other end of a connection.
 * Private to admin/. Sources: unix(7), socket(7).
 */
#ifndef MLLPGW_ADMIN_CONTROL_SOCKET_H
#define MLLPGW_ADMIN_CONTROL_SOCKET_H

#include "admin/control.h"

#include <sys/stat.h>

/* A listening socket with mode 0660. group -1: stays. 0, or a negative errno with a sentence. */
__attribute__((warn_unused_result)) int control_socket_open(const char *path, gid_t group,
                                                            int *ret_fd, struct stat *ret_status,
                                                            char ret_error[512]);
/* Closes, and removes the path if it is still this socket's. */
void control_socket_close(int fd, const char *path, const struct stat *status);

/* -1 for NULL. */
__attribute__((warn_unused_result)) int control_group_find(const char *name, gid_t *ret_group,
                                                           char ret_error[512]);
/* operator_gid -1: nobody but root. 0 or a negative errno. */
__attribute__((warn_unused_result)) int control_identify(int fd, gid_t operator_gid,
                                                         struct control_caller *ret_caller);

#endif
