/*
 * text: numbers, ages and foreign bytes for people (mllpctl, the status page).
 *
 * Pure. Threads: any.
 * Nothing that comes from a message, a certificate or the socket reaches the terminal unescaped:
 * control characters (C0, DEL, C1) and bytes that are no UTF-8 become \xNN.
 */
#ifndef MLLPGW_BASE_TEXT_H
#define MLLPGW_BASE_TEXT_H

#include "base/buffer.h"

#include <stdint.h>

#define TEXT_SHORT_BYTES 32
#define TEXT_TITLE_BYTES 64

/* "850ms", "12s", "3m12s", "5h03m", "2d04h". */
const char *text_age(int64_t ms, char ret_text[TEXT_SHORT_BYTES]);
/* "812 B", "1.5 KB", "3.2 GB" (powers of 1024). */
const char *text_bytes(int64_t bytes, char ret_text[TEXT_SHORT_BYTES]);
/* "2026-11-22T07:48:39Z"; "-" for 0. */
const char *text_time(int64_t wall_ms, char ret_text[TEXT_SHORT_BYTES]);

/* An integer as its name says: since, last, oldest and started are wall-clock milliseconds and shown as
 * ages ("-" for 0); expires and _at_s are wall-clock seconds and _at_ms milliseconds, shown as times;
 * _ms and _s are spans, bytes and _bytes sizes; all others plain digits. */
const char *text_number_of(const char *name, int64_t number, int64_t now_ms,
                           char ret_text[TEXT_SHORT_BYTES]);

/* A member's name for people: "oldest_age_ms" becomes "oldest age". */
const char *text_title(const char *name, char ret_text[TEXT_TITLE_BYTES]);

/* segments: CR (with an LF behind it) and LF become line ends; else they are escaped like the rest. */
__attribute__((warn_unused_result)) int text_escape(struct buffer *out, struct span bytes,
                                                    bool segments);

#endif
