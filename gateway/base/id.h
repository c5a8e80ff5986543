/*
 * id: names that are never used twice.
 *
 * Control ids for our own messages (MSH-10 of an acknowledgment) are at most 20 characters (HL7 2.x:
 * ST(20)), unique over restarts and machines as far as 40 random bits per start and a 40-bit counter
 * can make them.
 * Threads: any.
 */
#ifndef MLLPGW_BASE_ID_H
#define MLLPGW_BASE_ID_H

#define ID_CONTROL_BYTES 16 /* characters, without the NUL */

/* Writes ID_CONTROL_BYTES characters of [0-9A-Z] and a NUL. */
void id_make_control(char ret_id[ID_CONTROL_BYTES + 1]);

#endif
