/*
 * google_fault: what the Cloud Healthcare API means when it refuses a request about a store, and what
 * an operator is to look at.
 *
 * Google's own text is not passed on: it may quote a message. Pure.
 */
#ifndef MLLPGW_HTTP_GOOGLE_FAULT_H
#define MLLPGW_HTTP_GOOGLE_FAULT_H

#include "config/config.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* The first of error.details[] that has such a member, whatever its @type; NULL: none has. */
const json_t *google_error_detail(const json_t *root, const char *member);

/* root: the answer; NULL when it is not a JSON object. quota_project: that the request carried; NULL:
 * none. False, and nothing written, for a status that says all by itself. */
bool google_fault_words(const struct config_store *store, const char *quota_project, int status,
                        const json_t *root, char *ret_words, size_t size);

#endif
