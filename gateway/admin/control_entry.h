/*
 * control_entry: a spool's entry as JSON, and the spool's errors in words. Private to admin/.
 * Metadata only: no byte of a body or of a store's answer.
 */
#ifndef MLLPGW_ADMIN_CONTROL_ENTRY_H
#define MLLPGW_ADMIN_CONTROL_ENTRY_H

#include "spool/backend.h"

#include <jansson.h>

/* NULL when memory is out. */
json_t *control_entry_json(const struct spool_row *row);
/* "queued", "kept", "dead". 0 or -EINVAL. */
__attribute__((warn_unused_result)) int control_entry_state(const char *text,
                                                            enum spool_state *ret_state);
/* Bytes as base64; null for no bytes or no memory. */
json_t *control_entry_base64(struct span bytes);

const char *control_entry_error_code(int error);
const char *control_entry_error_words(int error);

#endif
