/*
 * google_credentials: what Google's services are to know this gateway by (application default
 * credentials), found in Google's order:
 *
 *   1. the configured file, or the one that GOOGLE_APPLICATION_CREDENTIALS names
 *   2. application_default_credentials.json in CLOUDSDK_CONFIG, or else in ~/.config/gcloud
 *   3. the metadata server (GCE_METADATA_HOST, or else metadata.google.internal)
 *
 * Kinds of files ("type"): service_account, authorized_user and external_account, this one with a
 * subject token from a file or a URL. Others are refused by name.
 * Every URL is https; http only for loopback addresses, and for a subject token's URL also for
 * link-local ones (other clouds' metadata servers).
 * A file is a secret file: its mode is checked (config/secret.h). It may be replaced at any time:
 * google_credentials_refresh() reads it again; one that is broken or unsafe leaves the last good
 * one in use.
 * Errors: one sentence that names file and field, never a value. Secrets are wiped when freed.
 * Threads: one at a time (a store's credentials belong to the delivery thread).
 */
#ifndef MLLPGW_HTTP_GOOGLE_CREDENTIALS_H
#define MLLPGW_HTTP_GOOGLE_CREDENTIALS_H

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

#define GOOGLE_ERROR_BYTES 512

enum google_kind {
    GOOGLE_SERVICE_ACCOUNT,
    GOOGLE_AUTHORIZED_USER,
    GOOGLE_EXTERNAL_ACCOUNT,
    GOOGLE_METADATA_SERVER,
};

struct google_credentials;

/* configured: the setting; NULL or "": none. 0, or negative with a sentence: -ENOENT and others of
 * secret_read() for a file that can't be read, -EINVAL for one that can't be used, -ENOMEM.
 * No file at all is no error: it is the metadata server then, asked only when a token is wanted. */
__attribute__((warn_unused_result)) int
google_credentials_find(const char *configured, struct google_credentials **ret_credentials,
                        char ret_error[GOOGLE_ERROR_BYTES]);
/* As that for a file that is there already; name: what the sentence calls it. */
__attribute__((warn_unused_result)) int
google_credentials_parse(const char *name, struct span text,
                         struct google_credentials **ret_credentials,
                         char ret_error[GOOGLE_ERROR_BYTES]);
void google_credentials_free(struct google_credentials **credentials);

/* Looks at the file at most once a second of now_ms (monotonic). True when it has other content
 * than before and that was taken over. A sentence in ret_error when it has changed and can't be
 * used: once for each change, "" otherwise. */
bool google_credentials_refresh(struct google_credentials *credentials, int64_t now_ms,
                                char ret_error[GOOGLE_ERROR_BYTES]);

enum google_kind google_credentials_kind(const struct google_credentials *credentials);
/* "service account hl7@clinic.iam.gserviceaccount.com (/etc/…/key.json)": for people. */
const char *google_credentials_words(const struct google_credentials *credentials);
/* quota_project_id of the file, or GOOGLE_CLOUD_QUOTA_PROJECT; NULL: none. Valid until the next
 * refresh. A setting of the store goes before it. */
const char *google_credentials_quota_project(const struct google_credentials *credentials);

#endif
