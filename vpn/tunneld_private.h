/* For tunneld.c and tunneld_charon.c only. */
#ifndef MLLPGW_VPN_TUNNELD_PRIVATE_H
#define MLLPGW_VPN_TUNNELD_PRIVATE_H

#include "vpn/keeper.h"
#include "vpn/status_server.h"
#include "vpn/tunneld.h"

struct tunneld_socket {
    uv_poll_t poll;
    int fd;
};

struct tunneld {
    const struct tunneld_options *options;
    uv_loop_t loop;
    struct keeper *keeper;
    struct tunneld_socket *charon; /* NULL: no connection */
    uv_timer_t deadline, beat;
    uv_signal_t hang_up, terminate, interrupt;
    struct status_server *server;
    uint64_t sequence;
    uint64_t told_version; /* keeper_version() of the last line */
};

int64_t tunneld_now_ms(void);
/* After everything that may have changed something: dials, writes, hangs up, sets the timer, tells. */
void tunneld_settle(struct tunneld *tunneld);
void tunneld_hang_up(struct tunneld *tunneld);
/* Status to all clients. */
void tunneld_tell(struct tunneld *tunneld);

#endif
