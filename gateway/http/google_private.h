/*
 * google_private: what the files about Google's credentials share; nobody else includes it.
 */
#ifndef MLLPGW_HTTP_GOOGLE_PRIVATE_H
#define MLLPGW_HTTP_GOOGLE_PRIVATE_H

#include "base/buffer.h"
#include "http/google_credentials.h"

#include <jansson.h>
#include <psa/crypto.h>

#define GOOGLE_FILE_BYTES ((size_t)64 * 1024)

/* Where an external account's subject token comes from: one of file and url. */
struct google_source {
    char *file, *url;
    char **headers;   /* for the url: "Name: value", NULL-terminated; NULL: none */
    char *json_field; /* NULL: the token is the whole text */
};

/* What a file says. Nothing is NULL that its kind must have. */
struct google_facts {
    enum google_kind kind;
    char *quota_project; /* NULL: none */
    char *token_url;     /* not of the metadata server */
    /* service_account */
    char *client_email, *key_id; /* key_id NULL: none */
    psa_key_id_t key;
    /* authorized_user, and external_account if it has them */
    char *client_id, *client_secret;
    /* authorized_user */
    char *refresh_token;
    /* external_account */
    char *audience, *subject_token_type;
    char *user_project;      /* NULL: none */
    char *impersonation_url; /* NULL: none */
    int lifetime_s;          /* of the impersonated service account's token */
    struct google_source source;
    /* metadata server */
    char *host;
};

/* The facts can be read while nothing is under way that may google_credentials_refresh(). */
const struct google_facts *google_credentials_facts(const struct google_credentials *credentials);
void google_facts_free(struct google_facts *facts);

/* ---- google_parse.c ---- */

struct google_reader {
    const char *name; /* of the file */
    char *error;      /* GOOGLE_ERROR_BYTES */
};

/* "NAME: sentence"; returns -EINVAL. */
__attribute__((format(printf, 2, 3))) int google_complain(const struct google_reader *reader,
                                                          const char *format, ...);
/* A text of printable ASCII that isn't empty. path: "credential_source." or "". Absent: NULL, or
 * -EINVAL when required. */
__attribute__((warn_unused_result)) int google_take_text(const struct google_reader *reader,
                                                         const json_t *object, const char *path,
                                                         const char *field, bool required,
                                                         char **ret_text);
/* As that, and a URL that secrets may be sent to. */
__attribute__((warn_unused_result)) int google_take_url(const struct google_reader *reader,
                                                        const json_t *object, const char *path,
                                                        const char *field, bool required,
                                                        char **ret_url);
__attribute__((warn_unused_result)) int google_parse(const char *name, struct span text,
                                                     struct google_facts *ret_facts,
                                                     char ret_error[GOOGLE_ERROR_BYTES]);
/* google_external.c */
__attribute__((warn_unused_result)) int google_parse_external(const struct google_reader *reader,
                                                              const json_t *file,
                                                              struct google_facts *facts);
/* The subject token in what its source gave. 0, -EINVAL with words (no file's name in them),
 * -ENOMEM. */
__attribute__((warn_unused_result)) int google_read_subject(const struct google_source *source,
                                                            struct span text, char **ret_token,
                                                            const char **ret_words);

/* ---- google_key.c ---- */

/* pem: NUL-terminated. 0, -EINVAL with words, -ENOMEM. */
__attribute__((warn_unused_result)) int google_key_parse(const char *pem, psa_key_id_t *ret_key,
                                                         char ret_words[128]);
/* Appends the JWT that a service account asks for a token with (RFC 7519, 7523). 0, -ENOMEM, -EIO. */
__attribute__((warn_unused_result)) int google_jwt_append(const struct google_facts *facts,
                                                          const char *scope, int64_t now_s,
                                                          struct buffer *out);

#endif
