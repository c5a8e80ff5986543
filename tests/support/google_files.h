/*
 * google_files: files of Google credentials for tests, good ones to begin with and to break.
 *
 * Every secret in them holds the word "canary", but for the key's, which is made once a process
 * by openssl (2048 bits).
 */
#ifndef MLLPGW_TESTS_SUPPORT_GOOGLE_FILES_H
#define MLLPGW_TESTS_SUPPORT_GOOGLE_FILES_H

#include <jansson.h>

#define GOOGLE_FILES_EMAIL "edge@clinic.iam.gserviceaccount.com"

/* PEM, PKCS #8. algorithm: openssl's ("RSA", "EC"); each is made once, and free to be kept. NULL
 * when openssl is missing or fails. */
const char *google_files_key(const char *algorithm);

/* Of that type ("service_account", "authorized_user", "external_account"); external ones with a
 * file as source. The token endpoint's URL is url. json_decref() it. */
json_t *google_files_new(const char *type, const char *url);
/* Sets what path ("credential_source.format.type") names to value, which it takes; NULL: removes. */
void google_files_set(json_t *file, const char *path, json_t *value);
/* Writes it so that it is seen as another file (rename), with that mode. */
void google_files_write(const json_t *file, const char *path, unsigned mode);
void google_files_write_text(const char *text, const char *path, unsigned mode);

#endif
