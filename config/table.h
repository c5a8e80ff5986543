/*
 * table: how the rows of the settings' table are written; table.c has the table, table_stores.c and
 * table_tunnels.c the sections about stores and tunnels.
 */
#ifndef MLLPGW_CONFIG_TABLE_H
#define MLLPGW_CONFIG_TABLE_H

#include "config/internal.h"

#include <stddef.h>

#define DAY_S (24L * 3600)
#define HOUR_MS (3600L * 1000)
#define MIB (1024L * 1024)
#define GIB (1024L * MIB)
#define FRAME_MAXIMUM (512L * MIB) /* SQLite keeps no value of 10^9 bytes */
#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
/* OWNER: the struct that the rows fill. */
#define AT(member) .name = #member, .offset = offsetof(struct OWNER, member)

/* Their lengths are said here, so that the compiler can count in table.c; it compares them. */
extern const struct setting store_settings[41];
extern const struct setting verdict_settings[2];
extern const struct setting tunneld_settings[5];
extern const struct setting tunnel_settings[26];

#endif
