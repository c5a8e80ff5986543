/* alert: what went wrong with a tunnel, in words that an engineer can act on. Pure. */
#ifndef MLLPGW_VPN_ALERT_H
#define MLLPGW_VPN_ALERT_H

#include "vpn/sa.h"

#define ALERT_TEXT_BYTES 160

/* For the type of an `alert` event (6.0.3 and later); NULL for those that mean nothing by themselves
 * (a packet was sent again). One that is not known is told as it is, in `other`. */
const char *alert_of_type(const char *type, char other[ALERT_TEXT_BYTES]);
/* For an IKE SA that an ike-updown event says is down. */
const char *alert_of_ike_down(const struct sa_ike *ike);

#endif
