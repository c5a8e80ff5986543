#include "base/file_stamp.h"
#include "config/secret.h"
#include "http/client.h"
#include "http/google_private.h"
#include "http/grant.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define GOOGLE_LOOK_MS 1000
#define GOOGLE_DIGEST_BYTES 32
#define GOOGLE_WORDS_BYTES 512

struct google_credentials {
    struct google_facts facts;
    char *path; /* NULL: no file */
    struct stat seen;
    bool missed; /* that it is gone has been said */
    int64_t looked_ms;
    uint8_t digest[GOOGLE_DIGEST_BYTES]; /* of the file's text */
    char words[GOOGLE_WORDS_BYTES];
};

/* ---- freeing ---- */

static void google_source_free(struct google_source *source)
{
    for (char **header = source->headers; header != NULL && *header != NULL; header++)
        grant_forget(header);
    free(source->headers);
    free(source->file);
    grant_forget(&source->url);
    free(source->json_field);
}

void google_facts_free(struct google_facts *facts)
{
    char **texts[] = {&facts->quota_project, &facts->token_url,         &facts->client_email,
                      &facts->key_id,        &facts->client_id,         &facts->client_secret,
                      &facts->refresh_token, &facts->audience,          &facts->subject_token_type,
                      &facts->user_project,  &facts->impersonation_url, &facts->host};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        grant_forget(texts[i]);
    google_source_free(&facts->source);
    if (facts->key != PSA_KEY_ID_NULL)
        (void)psa_destroy_key(facts->key);
    *facts = (struct google_facts){0};
}

void google_credentials_free(struct google_credentials **credentials)
{
    if (*credentials == NULL)
        return;
    google_facts_free(&(*credentials)->facts);
    free((*credentials)->path);
    free(*credentials);
    *credentials = NULL;
}

/* ---- in words ---- */

/* The account in ".../serviceAccounts/EMAIL:generateAccessToken". */
static struct span google_impersonated(const char *url)
{
    const char *account = url == NULL ? NULL : strstr(url, "/serviceAccounts/");

    if (account == NULL)
        return span_of(NULL, 0);
    account += strlen("/serviceAccounts/");
    return span_of(account, strcspn(account, ":/"));
}

static void google_describe(struct google_credentials *credentials, const char *name)
{
    const struct google_facts *facts = &credentials->facts;
    struct span account = google_impersonated(facts->impersonation_url);
    char *words = credentials->words;

    switch (facts->kind) {
    case GOOGLE_SERVICE_ACCOUNT:
        snprintf(words, GOOGLE_WORDS_BYTES, "service account %.200s (%.200s)", facts->client_email,
                 name);
        break;
    case GOOGLE_AUTHORIZED_USER:
        snprintf(words, GOOGLE_WORDS_BYTES, "a user's credentials (%.200s)", name);
        break;
    case GOOGLE_EXTERNAL_ACCOUNT:
        snprintf(words, GOOGLE_WORDS_BYTES, "external account%s%.*s (%.200s)",
                 account.length > 0 ? " as service account " : "",
                 (int)(account.length < 200 ? account.length : 200),
                 account.length > 0 ? account.data : "", name);
        break;
    case GOOGLE_METADATA_SERVER:
        snprintf(words, GOOGLE_WORDS_BYTES, "the metadata server %.200s (there is no file)",
                 facts->host);
        break;
    }
}

const char *google_credentials_words(const struct google_credentials *credentials)
{
    return credentials->words;
}

/* ---- a file ---- */

int google_credentials_parse(const char *name, struct span text,
                             struct google_credentials **ret_credentials,
                             char ret_error[GOOGLE_ERROR_BYTES])
{
    struct google_credentials *credentials = calloc(1, sizeof(*credentials));
    int result;

    snprintf(ret_error, GOOGLE_ERROR_BYTES, "%.200s: memory is out", name);
    if (credentials == NULL)
        return -ENOMEM;
    credentials->looked_ms = INT64_MIN / 2;
    result = google_parse(name, text, &credentials->facts, ret_error);
    if (result != 0) {
        google_credentials_free(&credentials);
        return result;
    }
    google_describe(credentials, name);
    *ret_credentials = credentials;
    return 0;
}

static int google_digest(struct span text, uint8_t ret_digest[GOOGLE_DIGEST_BYTES])
{
    size_t length = 0;

    if (psa_crypto_init() != PSA_SUCCESS ||
        psa_hash_compute(PSA_ALG_SHA_256, (const uint8_t *)text.data, text.length, ret_digest,
                         GOOGLE_DIGEST_BYTES, &length) != PSA_SUCCESS)
        return -ENOMEM;
    return 0;
}

/* *seen is from before it is read: what is written meanwhile is seen as a change later. */
static int google_read(const char *path, struct google_credentials **ret_credentials,
                       char ret_error[GOOGLE_ERROR_BYTES])
{
    struct google_credentials *credentials = NULL;
    char *text = NULL, *copy = strdup(path);
    struct stat seen = {0};
    size_t length = 0;
    int result = -ENOMEM;

    snprintf(ret_error, GOOGLE_ERROR_BYTES, "%.200s: memory is out", path);
    if (copy == NULL)
        return -ENOMEM;
    (void)stat(path, &seen);
    result = secret_read(path, GOOGLE_FILE_BYTES, &text, &length, ret_error);
    if (result == 0)
        result = google_credentials_parse(path, span_of(text, length), &credentials, ret_error);
    if (result == 0)
        result = google_digest(span_of(text, length), credentials->digest);
    secret_free(&text, length);
    if (result != 0) {
        google_credentials_free(&credentials);
        free(copy);
        return result;
    }
    credentials->path = copy;
    credentials->seen = seen;
    *ret_credentials = credentials;
    return 0;
}

static bool google_file_changed(const struct stat *a, const struct stat *b)
{
    return file_stamp_differs(a, b) ||
           /* a mode that was repaired */
           a->st_ctim.tv_sec != b->st_ctim.tv_sec || a->st_ctim.tv_nsec != b->st_ctim.tv_nsec;
}

/* The facts change places: whoever has the pointer has the new ones. */
static void google_replace(struct google_credentials *credentials, struct google_credentials *by)
{
    struct google_facts old = credentials->facts;

    credentials->facts = by->facts;
    by->facts = old;
    memcpy(credentials->digest, by->digest, sizeof(credentials->digest));
    memcpy(credentials->words, by->words, sizeof(credentials->words));
}

bool google_credentials_refresh(struct google_credentials *credentials, int64_t now_ms,
                                char ret_error[GOOGLE_ERROR_BYTES])
{
    struct google_credentials *fresh = NULL;
    struct stat now;
    bool differs;
    int result;

    ret_error[0] = '\0';
    if (credentials->path == NULL || now_ms < credentials->looked_ms + GOOGLE_LOOK_MS)
        return false;
    credentials->looked_ms = now_ms;
    if (stat(credentials->path, &now) != 0) {
        if (!credentials->missed)
            snprintf(ret_error, GOOGLE_ERROR_BYTES, "%.200s: %s", credentials->path,
                     strerrordesc_np(errno));
        credentials->missed = true;
        return false;
    }
    credentials->missed = false;
    if (!google_file_changed(&now, &credentials->seen))
        return false;
    result = google_read(credentials->path, &fresh, ret_error);
    if (result == -EAGAIN || result == -ENOMEM) {
        ret_error[0] = '\0'; /* it is being written, or will do later */
        return false;
    }
    credentials->seen = now;
    if (result != 0)
        return false;
    ret_error[0] = '\0';
    differs = memcmp(fresh->digest, credentials->digest, sizeof(fresh->digest)) != 0;
    if (differs)
        google_replace(credentials, fresh);
    google_credentials_free(&fresh);
    return differs;
}

/* ---- Google's order ---- */

static int google_find_server(struct google_credentials **ret_credentials,
                              char ret_error[GOOGLE_ERROR_BYTES])
{
    const char *host = getenv("GCE_METADATA_HOST");
    struct google_credentials *credentials;
    char url[300];

    if (host == NULL || *host == '\0')
        host = "metadata.google.internal";
    snprintf(url, sizeof(url), "http://%s/", host);
    if (strlen(host) > 255 || strpbrk(host, "/?#@ ") != NULL || http_check_url(url) != 0) {
        snprintf(ret_error, GOOGLE_ERROR_BYTES, "GCE_METADATA_HOST is not of the form host[:port]");
        return -EINVAL;
    }
    credentials = calloc(1, sizeof(*credentials));
    snprintf(ret_error, GOOGLE_ERROR_BYTES, "memory is out");
    if (credentials == NULL)
        return -ENOMEM;
    credentials->facts.kind = GOOGLE_METADATA_SERVER;
    credentials->facts.host = strdup(host);
    if (credentials->facts.host == NULL) {
        google_credentials_free(&credentials);
        return -ENOMEM;
    }
    google_describe(credentials, NULL);
    *ret_credentials = credentials;
    return 0;
}

/* NULL: there is none, or no home to have it in. free() it. */
static char *google_usual_file(void)
{
    const char *directory = getenv("CLOUDSDK_CONFIG"), *more = "";
    struct stat status;
    char *path = NULL;

    if (directory == NULL || *directory == '\0') {
        directory = getenv("HOME");
        more = "/.config/gcloud";
    }
    if (directory == NULL || *directory == '\0' ||
        asprintf(&path, "%s%s/application_default_credentials.json", directory, more) < 0)
        return NULL;
    if (stat(path, &status) == 0)
        return path;
    free(path);
    return NULL;
}

int google_credentials_find(const char *configured, struct google_credentials **ret_credentials,
                            char ret_error[GOOGLE_ERROR_BYTES])
{
    const char *named = getenv("GOOGLE_APPLICATION_CREDENTIALS");
    char *usual;
    int result;

    if (configured != NULL && *configured != '\0')
        return google_read(configured, ret_credentials, ret_error);
    if (named != NULL && *named != '\0')
        return google_read(named, ret_credentials, ret_error);
    usual = google_usual_file();
    if (usual == NULL)
        return google_find_server(ret_credentials, ret_error);
    result = google_read(usual, ret_credentials, ret_error);
    free(usual);
    return result;
}

/* ---- what is asked of them ---- */

const struct google_facts *google_credentials_facts(const struct google_credentials *credentials)
{
    return &credentials->facts;
}

enum google_kind google_credentials_kind(const struct google_credentials *credentials)
{
    return credentials->facts.kind;
}

const char *google_credentials_quota_project(const struct google_credentials *credentials)
{
    const char *project = getenv("GOOGLE_CLOUD_QUOTA_PROJECT");

    if (project != NULL && grant_is_sendable(project))
        return project;
    return credentials->facts.quota_project;
}
