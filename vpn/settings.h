/*
 * settings: a digest of what decides who is at the other end of a tunnel and what goes through it, so that
 * the gateway can tell whether mllp-tunneld runs the tunnel that its own configuration means.
 *
 * In it: both ends' addresses and identities, the networks, by which files each side proves itself, and which
 * say who is revoked. Of files only the names, not the folders: containers have the same file in different
 * places. Not in it: what the files hold (the gateway may not read them), proposals, times, how it is started,
 * and all that concerns the gateway alone. As written: what charon takes for the same identity may be another
 * one here, and is unknown then until both have the same file.
 * Pure. Threads: any, after psa_crypto_init().
 */
#ifndef MLLPGW_VPN_SETTINGS_H
#define MLLPGW_VPN_SETTINGS_H

#include "config/config.h"

#define SETTINGS_DIGEST_BYTES 33 /* lower-case hexadecimal, and a zero */

/* Empty when it can't be made; that is like no other, nor like itself: settings_are_same(). */
void settings_digest(const struct config_tunnel *tunnel, char ret_text[SETTINGS_DIGEST_BYTES]);
bool settings_are_same(const char *one, const char *other);

#endif
