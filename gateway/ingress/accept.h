/* accept: sockets: binding a listener's address, and what an accepted socket is set to. */
#ifndef MLLPGW_INGRESS_ACCEPT_H
#define MLLPGW_INGRESS_ACCEPT_H

#include "config/config.h"

/* 0 when nobody listens on the address, or a negative errno with a sentence. To ask before
 * accept_listen(): SO_REUSEPORT would let another gateway of the same user share the port, and each
 * would get some of the connections. */
__attribute__((warn_unused_result)) int accept_probe(const struct config_listener *listener,
                                                     char ret_error[512]);
/* A bound, listening, non-blocking socket with SO_REUSEPORT; or a negative errno with a sentence. */
__attribute__((warn_unused_result)) int accept_listen(const struct config_listener *listener,
                                                      char ret_error[512]);
/* No delay, keepalive and user timeout of the listener; what fails is left at the system's. */
void accept_prepare(int fd, const struct config_listener *listener);

#endif
