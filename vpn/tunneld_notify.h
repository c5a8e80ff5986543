/*
 * tunneld_notify: what the service manager hears (sd_notify(3)): "READY=1", "RELOADING=1", "STOPPING=1",
 * "WATCHDOG=1". Nothing without NOTIFY_SOCKET. Threads: the loop's.
 */
#ifndef MLLPGW_VPN_TUNNELD_NOTIFY_H
#define MLLPGW_VPN_TUNNELD_NOTIFY_H

void tunneld_notify(const char *state);
/* RELOADING=1 with the time that systemd 253's Type=notify-reload wants. */
void tunneld_notify_reloading(void);

#endif
