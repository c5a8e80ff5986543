/*
 * settings: a store's settings, kept and compared over reloads.
 *
 * A store outlives the configuration that it was made from when a reload doesn't change it: so it
 * gets a copy of its own.
 * Threads: any.
 */
#ifndef MLLPGW_ROUTE_SETTINGS_H
#define MLLPGW_ROUTE_SETTINGS_H

#include "config/config.h"

/* NULL when memory is out. */
struct config_store *settings_copy(const struct config_store *from);
void settings_free(struct config_store *settings);
bool settings_equal(const struct config_store *a, const struct config_store *b);
/* Of the files that the settings name: changes when one of them is replaced, changed or removed. */
uint64_t settings_fingerprint(const struct config_store *settings);

#endif
