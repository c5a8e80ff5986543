/*
 * Which key sealed what. Each start derives a key of its own (an epoch) from the current key of the
 * file and a random salt; epochs count what they seal, so it is known without a scan which keys of
 * the file are still needed. But with an epoch's salt all that it sealed is gone: nothing is forgotten
 * on the counter's word alone (sqlite_epochs.c). A verifier sealed under each key tells a wrong one before anything else
 * happens.
 */
#include "spool/sqlite_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PURPOSE_EPOCH "mllp-gateway spool epoch"
#define PURPOSE_VERIFIER "mllp-gateway spool verifier"
#define PURPOSE_DIGEST "mllp-gateway spool digest key"
#define DIGEST_KEY_BYTES 32
#define PLACE_BYTES 8192

/* ---- one value under one key of the file ---- */

static int wrap(const struct key_file_key *key, const uint8_t salt[SEAL_SALT_BYTES],
                const char *purpose, struct span plain, struct buffer *sealed)
{
    struct seal_key derived;

    int result = seal_key_derive(key->key, salt, purpose, true, &derived);
    if (result < 0)
        return result;
    result = seal_close(&derived, span_of_string(key->id), plain, sealed);
    seal_key_destroy(&derived);
    return result;
}

static int unwrap(const struct key_file_key *key, const uint8_t salt[SEAL_SALT_BYTES],
                  const char *purpose, struct span sealed, size_t length, void *ret_plain)
{
    struct seal_key derived;

    if (sealed.length != length + SEAL_OVERHEAD)
        return -EBADMSG;
    int result = seal_key_derive(key->key, salt, purpose, false, &derived);
    if (result < 0)
        return result;
    result = seal_open(&derived, span_of_string(key->id), sealed, ret_plain);
    seal_key_destroy(&derived);
    return result;
}

/* ---- verifiers ---- */

/* 1: right; 0: the database doesn't know this key yet. */
static int check_verifier(struct sqlite_spool *spool, const struct key_file_key *key,
                          const char *path, char ret_error[512])
{
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_KEY_GET);
    char plain[sizeof PURPOSE_VERIFIER - 1];

    if (statement != NULL)
        statement_bind_text(statement, 1, key->id);
    int result = statement_step(spool, statement);
    if (result <= 0)
        return result;
    struct span salt = statement_span(statement, 0), verifier = statement_span(statement, 1);
    result = salt.length != SEAL_SALT_BYTES
                 ? -EBADMSG
                 : unwrap(key, (const uint8_t *)salt.data, PURPOSE_VERIFIER, verifier, sizeof plain,
                          plain);
    sqlite3_reset(statement);
    if (result == -EBADMSG) {
        snprintf(ret_error, 512,
                 "the key \"%s\" in %s is not the one that this spool knows by that name; nothing "
                 "was changed: put the right key there",
                 key->id, path);
        return -EACCES;
    }
    return result < 0 ? result : 1;
}

static int write_verifier(struct sqlite_spool *spool, const struct key_file_key *key)
{
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_KEY_PUT);
    uint8_t salt[SEAL_SALT_BYTES];

    buffer_clear(&spool->scratch);
    int result = seal_random(salt, sizeof salt);
    if (result == 0)
        result =
            wrap(key, salt, PURPOSE_VERIFIER, span_of_string(PURPOSE_VERIFIER), &spool->scratch);
    if (result == 0 && statement == NULL)
        result = database_error(spool);
    if (result < 0)
        return result;
    statement_bind_text(statement, 1, key->id);
    statement_bind_span(statement, 2, span_of(salt, sizeof salt));
    statement_bind_span(statement, 3, buffer_span(&spool->scratch));
    return statement_run(spool, statement);
}

/* ---- epochs ---- */

static int epochs_add(struct sqlite_spool *spool, const struct sqlite_epoch *epoch)
{
    struct sqlite_epoch *epochs = realloc(spool->epochs, (spool->epoch_count + 1) * sizeof *epochs);

    if (epochs == NULL)
        return -ENOMEM;
    spool->epochs = epochs;
    epochs[spool->epoch_count++] = *epoch;
    return 0;
}

struct missing_key {
    char id[KEY_FILE_ID_BYTES + 1];
    int64_t sealed;
};

/* Whatever its counter says: without the key all that hangs on it could not be read. */
static int missing_key_note(struct sqlite_spool *spool, const struct sqlite_epoch *epoch,
                            struct missing_key *missing)
{
    int64_t sealed = 0;
    int result = recount_epoch(spool, epoch->id, &sealed);

    if (result < 0 || sealed == 0)
        return result;
    if (missing->sealed == 0)
        memcpy(missing->id, epoch->key_id, sizeof missing->id);
    if (strcmp(missing->id, epoch->key_id) == 0)
        missing->sealed += sealed;
    return 0;
}

/* Derives the key of one epoch; a key that the file hasn't got is noted. */
static int epoch_load(struct sqlite_spool *spool, const struct key_file *file,
                      sqlite3_stmt *statement, struct missing_key *missing)
{
    struct sqlite_epoch epoch = {.id = sqlite3_column_int64(statement, 0),
                                 .sealed = sqlite3_column_int64(statement, 3)};
    struct span salt = statement_span(statement, 2);

    snprintf(epoch.key_id, sizeof epoch.key_id, "%s",
             (const char *)sqlite3_column_text(statement, 1));
    const struct key_file_key *key = key_file_find(file, epoch.key_id);
    if (key == NULL) {
        int result = missing_key_note(spool, &epoch, missing);
        if (result < 0)
            return result;
    }
    if (key == NULL || salt.length != SEAL_SALT_BYTES)
        return epochs_add(spool, &epoch);
    epoch.current_key = key == &file->keys[0];
    int result =
        seal_key_derive(key->key, (const uint8_t *)salt.data, PURPOSE_EPOCH, false, &epoch.key);
    if (result == 0)
        result = epochs_add(spool, &epoch);
    if (result < 0)
        seal_key_destroy(&epoch.key);
    return result;
}

static int epochs_load(struct sqlite_spool *spool, const struct key_file *file, const char *path,
                       char ret_error[512])
{
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_EPOCHS);
    struct missing_key missing = {.sealed = 0};
    int result;

    while ((result = statement_step(spool, statement)) == 1) {
        result = epoch_load(spool, file, statement, &missing);
        if (result < 0) {
            sqlite3_reset(statement);
            return result;
        }
    }
    if (result == 0 && missing.sealed > 0) {
        snprintf(ret_error, 512,
                 "the key \"%s\" is not in %s, but %" PRId64 " messages and answers in the spool "
                 "are sealed with it; nothing was changed: add the key below the first line",
                 missing.id, path, missing.sealed);
        return -EACCES;
    }
    return result;
}

static int epoch_begin(struct sqlite_spool *spool, const struct key_file_key *key)
{
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_EPOCH_INSERT);
    struct sqlite_epoch epoch = {.id = 1, .current_key = true};
    uint8_t salt[SEAL_SALT_BYTES];

    if (spool->epoch_count > 0)
        epoch.id = keys_current(spool)->id + 1;
    memcpy(epoch.key_id, key->id, sizeof epoch.key_id);
    int result = seal_random(salt, sizeof salt);
    if (result == 0)
        result = seal_key_derive(key->key, salt, PURPOSE_EPOCH, true, &epoch.key);
    if (result == 0)
        result = statement == NULL ? database_error(spool) : epochs_add(spool, &epoch);
    if (result < 0) {
        seal_key_destroy(&epoch.key);
        return result;
    }
    sqlite3_bind_int64(statement, 1, epoch.id);
    statement_bind_text(statement, 2, key->id);
    statement_bind_span(statement, 3, span_of(salt, sizeof salt));
    return statement_run(spool, statement);
}

struct sqlite_epoch *keys_epoch(struct sqlite_spool *spool, int64_t id)
{
    for (size_t i = spool->epoch_count; i > 0; i--)
        if (spool->epochs[i - 1].id == id)
            return &spool->epochs[i - 1];
    return NULL;
}

/* ---- the digest key ---- */

static int digest_key_write(struct sqlite_spool *spool, const struct key_file_key *key,
                            const uint8_t digest_key[DIGEST_KEY_BYTES])
{
    uint8_t salt[SEAL_SALT_BYTES];

    buffer_clear(&spool->scratch);
    int result = seal_random(salt, sizeof salt);
    if (result == 0)
        result = buffer_append(&spool->scratch, salt, sizeof salt);
    if (result == 0)
        result =
            wrap(key, salt, PURPOSE_DIGEST, span_of(digest_key, DIGEST_KEY_BYTES), &spool->scratch);
    if (result == 0)
        result = meta_put(spool, "digest_key", buffer_span(&spool->scratch));
    if (result == 0)
        result = meta_put(spool, "digest_key_id", span_of_string(key->id));
    return result;
}

static int digest_key_read(struct sqlite_spool *spool, const struct key_file *file,
                           const char *path, uint8_t ret_key[DIGEST_KEY_BYTES], bool *ret_current,
                           char ret_error[512])
{
    char id[KEY_FILE_ID_BYTES + 1] = "";
    uint8_t wrapped[SEAL_SALT_BYTES + DIGEST_KEY_BYTES + SEAL_OVERHEAD];
    size_t length = 0, id_length = 0;

    int result = meta_get(spool, "digest_key_id", id, sizeof id - 1, &id_length);
    if (result == 0)
        result = meta_get(spool, "digest_key", wrapped, sizeof wrapped, &length);
    if (result < 0 || length != sizeof wrapped)
        return result < 0 ? result : -EBADMSG;
    const struct key_file_key *key = key_file_find(file, id);
    if (key == NULL) {
        snprintf(ret_error, 512,
                 "the key \"%s\" is not in %s, but the spool's last start used it; nothing was "
                 "changed: a new key goes above it, and both stay for one start",
                 id, path);
        return -EACCES;
    }
    *ret_current = key == &file->keys[0];
    return unwrap(key, wrapped, PURPOSE_DIGEST,
                  span_of(wrapped + SEAL_SALT_BYTES, DIGEST_KEY_BYTES + SEAL_OVERHEAD),
                  DIGEST_KEY_BYTES, ret_key);
}

/* Made once, and wrapped anew when the current key has changed: digests outlive keys. */
static int digest_key_open(struct sqlite_spool *spool, const struct key_file *file,
                           const char *path, bool created, char ret_error[512])
{
    uint8_t key[DIGEST_KEY_BYTES];
    bool current = false;

    int result = created ? seal_random(key, sizeof key)
                         : digest_key_read(spool, file, path, key, &current, ret_error);
    if (result == 0 && !current)
        result = digest_key_write(spool, &file->keys[0], key);
    if (result == 0) {
        spool->digest_key = digest_key_new(key);
        if (spool->digest_key == NULL)
            result = -ENOMEM;
    }
    explicit_bzero(key, sizeof key);
    return result;
}

/* ---- open and close ---- */

static int remember_ids(struct sqlite_spool *spool, const struct key_file *file)
{
    size_t size = file->count * sizeof file->keys[0].id, at = 0;

    spool->key_ids = calloc(1, size);
    if (spool->key_ids == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < file->count; i++) {
        memcpy(spool->key_ids + at, file->keys[i].id, strlen(file->keys[i].id));
        at += strlen(file->keys[i].id) + 1;
    }
    spool->key_count = file->count;
    memcpy(spool->current_key, file->keys[0].id, sizeof spool->current_key);
    return 0;
}

int keys_open(struct sqlite_spool *spool, const struct key_file *file, const char *path,
              bool created, char ret_error[512])
{
    bool known[KEY_FILE_KEYS] = {false};

    int result = remember_ids(spool, file);
    for (size_t i = 0; i < file->count && result >= 0; i++) {
        result = check_verifier(spool, &file->keys[i], path, ret_error);
        known[i] = result == 1;
    }
    if (result >= 0)
        result = epochs_load(spool, file, path, ret_error);
    if (result >= 0)
        result = digest_key_open(spool, file, path, created, ret_error);
    /* Every key is right: from here on the database changes. */
    for (size_t i = 0; i < file->count && result >= 0; i++)
        if (!known[i])
            result = write_verifier(spool, &file->keys[i]);
    if (result >= 0)
        result = epoch_begin(spool, &file->keys[0]);
    if (result < 0 && ret_error[0] == '\0')
        snprintf(ret_error, 512, "the spool's keys in %s cannot be used: %s", path,
                 result == -EBADMSG ? "the spool is damaged" : strerror(-result));
    return result;
}

void keys_close(struct sqlite_spool *spool)
{
    for (size_t i = 0; i < spool->epoch_count; i++)
        seal_key_destroy(&spool->epochs[i].key);
    free(spool->epochs);
    free(spool->key_ids);
    digest_key_free(&spool->digest_key);
}

/* ---- sealing ---- */

static size_t place_add(uint8_t *out, size_t at, struct span part)
{
    uint32_t length = (uint32_t)part.length;

    for (int i = 0; i < 4; i++)
        out[at++] = (uint8_t)(length >> (24 - 8 * i));
    if (part.length > 0)
        memcpy(out + at, part.data, part.length);
    return at + part.length;
}

/* What the associated data says: purpose, row, peer, route, lane and whatever else must not change. */
static int place_write(const struct seal_place *place, uint8_t out[PLACE_BYTES], size_t *ret_length)
{
    const struct span parts[] = {span_of_string(place->peer), span_of_string(place->route),
                                 span_of_string(place->lane), place->extra};
    size_t total = 9, at = 0;

    for (size_t i = 0; i < 4; i++)
        total += 4 + parts[i].length;
    if (total > PLACE_BYTES)
        return -ENAMETOOLONG;
    out[at++] = (uint8_t)place->purpose;
    for (int i = 0; i < 8; i++)
        out[at++] = (uint8_t)((uint64_t)place->id >> (56 - 8 * i));
    for (size_t i = 0; i < 4; i++)
        at = place_add(out, at, parts[i]);
    *ret_length = at;
    return 0;
}

int keys_seal(struct sqlite_spool *spool, const struct seal_place *place, struct span plain)
{
    struct sqlite_epoch *epoch = keys_current(spool);
    uint8_t text[PLACE_BYTES];
    size_t length;

    /* What a large message needed isn't kept for small ones. */
    if (spool->scratch.capacity > 262144 && plain.length < 65536)
        buffer_free(&spool->scratch);
    buffer_clear(&spool->scratch);
    int result = place_write(place, text, &length);
    if (result == 0)
        result = seal_close(&epoch->key, span_of(text, length), plain, &spool->scratch);
    if (result < 0) {
        spool->failed = true;
        return result;
    }
    epoch->sealed++;
    recount_note(spool, epoch, place->purpose, place->id, 1);
    return 0;
}

int keys_unseal(struct sqlite_spool *spool, const struct seal_place *place, int64_t epoch_id,
                struct span sealed, char **ret_plain, size_t *ret_length)
{
    const struct sqlite_epoch *epoch = keys_epoch(spool, epoch_id);
    uint8_t text[PLACE_BYTES];
    size_t length;

    if (epoch == NULL || epoch->key.id == 0 || sealed.length < SEAL_OVERHEAD ||
        place_write(place, text, &length) < 0)
        return -EBADMSG;
    char *plain = malloc(sealed.length - SEAL_OVERHEAD + 1);
    if (plain == NULL)
        return -ENOMEM;
    int result = seal_open(&epoch->key, span_of(text, length), sealed, plain);
    if (result < 0) {
        free(plain);
        return result;
    }
    plain[sealed.length - SEAL_OVERHEAD] = '\0';
    *ret_plain = plain;
    *ret_length = sealed.length - SEAL_OVERHEAD;
    return 0;
}

void keys_forget(struct sqlite_spool *spool, int64_t epoch_id, char purpose, int64_t id)
{
    struct sqlite_epoch *epoch = keys_epoch(spool, epoch_id);

    if (epoch == NULL)
        return;
    epoch->sealed--;
    recount_note(spool, epoch, purpose, id, -1);
}
