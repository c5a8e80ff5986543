/*
 * credential: a secret in a file that may be replaced while the gateway runs (Kubernetes, Vault's
 * agent, an operator): looked at again at most once a second, read again when it has changed.
 *
 * A file that can't be read any more, or whose mode has become unsafe, leaves the last good secret
 * in use. Threads: the delivery thread; the file is small and local.
 */
#ifndef MLLPGW_EGRESS_CREDENTIAL_H
#define MLLPGW_EGRESS_CREDENTIAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct credential {
    const char *path; /* outlives it; NULL: there is no such secret */
    char *text;
    int64_t looked_ms; /* monotonic */
    struct stat seen;
};

/* 0, or a negative errno with a sentence. path NULL is fine. */
__attribute__((warn_unused_result)) int credential_open(struct credential *credential,
                                                        const char *path, char ret_error[512]);
void credential_close(struct credential *credential);

/* True when the secret is another one than before. */
bool credential_refresh(struct credential *credential, int64_t now_ms);

#endif
