/*
 * web_socket: the listening TCP socket of web. Private to admin/.
 */
#ifndef MLLPGW_ADMIN_WEB_SOCKET_H
#define MLLPGW_ADMIN_WEB_SOCKET_H

/* address: "127.0.0.1:8080", "[::1]:8080"; port 0: any. 0, or a negative errno with a sentence. */
__attribute__((warn_unused_result)) int web_socket_open(const char *address, int *ret_fd,
                                                        int *ret_port, char ret_error[512]);

#endif
