/*
 * types: what the store types share behind store.h; nobody outside this folder includes it.
 */
#ifndef MLLPGW_EGRESS_TYPES_H
#define MLLPGW_EGRESS_TYPES_H

#include "egress/store.h"

/* Every type's attempt begins with one. */
struct store_attempt {
    struct store *store;
};

/* NULL with a sentence. config and context of the store are filled in by store_new(). */
struct store *store_directory_new(const struct config_store *config,
                                  const struct store_context *context, char ret_error[512]);
struct store *store_http_new(const struct config_store *config, const struct store_context *context,
                             char ret_error[512]);
struct store *store_google_new(const struct config_store *config,
                               const struct store_context *context, char ret_error[512]);

#endif
