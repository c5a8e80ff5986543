#include "spool/sqlite_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bodies and the columns that never change are apart from what attempts say (outcomes), so that an
 * attempt rewrites a short row and not the body. queue is the order; it holds queued rows only. */
static const char schema[] =
    "CREATE TABLE state (id INTEGER PRIMARY KEY, next_id INTEGER NOT NULL, records INTEGER NOT NULL);"
    "INSERT INTO state VALUES (1, 1, 0);"
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE sequences (key TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE keys (id TEXT PRIMARY KEY, salt BLOB NOT NULL, verifier BLOB NOT NULL)"
    " WITHOUT ROWID;"
    "CREATE TABLE epochs (id INTEGER PRIMARY KEY, key_id TEXT NOT NULL, salt BLOB NOT NULL,"
    " sealed INTEGER NOT NULL);"
    "CREATE TABLE lanes (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, route TEXT NOT NULL,"
    " queued INTEGER NOT NULL, dead INTEGER NOT NULL, kept INTEGER NOT NULL,"
    " queued_bytes INTEGER NOT NULL, bytes INTEGER NOT NULL, stopped_by INTEGER NOT NULL);"
    "CREATE TABLE messages (id INTEGER PRIMARY KEY, lane INTEGER NOT NULL, epoch INTEGER NOT NULL,"
    " connection INTEGER NOT NULL, received_ms INTEGER NOT NULL, bytes INTEGER NOT NULL,"
    " batch INTEGER NOT NULL, peer TEXT NOT NULL, listener TEXT NOT NULL, control_id BLOB NOT NULL,"
    " message_type BLOB NOT NULL, digest BLOB NOT NULL, spans BLOB NOT NULL, body BLOB NOT NULL);"
    "CREATE TABLE queue (lane INTEGER NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (lane, id))"
    " WITHOUT ROWID;"
    "CREATE TABLE outcomes (id INTEGER PRIMARY KEY, state INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL, counted INTEGER NOT NULL, due_ms INTEGER NOT NULL,"
    " settled_ms INTEGER NOT NULL, kind INTEGER NOT NULL, status INTEGER NOT NULL,"
    " reason TEXT NOT NULL, answer_epoch INTEGER NOT NULL, answer_bytes INTEGER NOT NULL,"
    " answer BLOB);"
    "CREATE INDEX kept ON outcomes (settled_ms) WHERE state = 1;"
    "CREATE TABLE records (sequence INTEGER PRIMARY KEY, digest BLOB NOT NULL,"
    " recorded_ms INTEGER NOT NULL, code TEXT, is_hl7 INTEGER, answer_epoch INTEGER, answer BLOB);"
    "CREATE TABLE runs (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, filter BLOB NOT NULL);"
    "CREATE TABLE buckets (id INTEGER PRIMARY KEY, entries BLOB NOT NULL);";

/* bucket's id: first * 256 + number; sequence numbers stay far below 2^55. */
static const char *const statement_texts[STATEMENT_COUNT] = {
    [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
    [STATEMENT_COMMIT] = "COMMIT",
    [STATEMENT_STATE_UPDATE] = "UPDATE state SET next_id = ?1, records = ?2 WHERE id = 1",
    [STATEMENT_META_GET] = "SELECT value FROM meta WHERE key = ?1",
    [STATEMENT_META_PUT] = "INSERT OR REPLACE INTO meta VALUES (?1, ?2)",
    [STATEMENT_META_DELETE] = "DELETE FROM meta WHERE key = ?1",
    [STATEMENT_SEQUENCE_GET] = "SELECT last FROM sequences WHERE key = ?1",
    [STATEMENT_SEQUENCE_PUT] = "INSERT OR REPLACE INTO sequences VALUES (?1, ?2)",
    [STATEMENT_KEY_GET] = "SELECT salt, verifier FROM keys WHERE id = ?1",
    [STATEMENT_KEY_PUT] = "INSERT INTO keys VALUES (?1, ?2, ?3)",
    [STATEMENT_EPOCHS] = "SELECT id, key_id, salt, sealed FROM epochs ORDER BY id",
    [STATEMENT_EPOCH_INSERT] = "INSERT INTO epochs VALUES (?1, ?2, ?3, 0)",
    [STATEMENT_EPOCH_UPDATE] = "UPDATE epochs SET sealed = ?2 WHERE id = ?1",
    [STATEMENT_EPOCH_DELETE] = "DELETE FROM epochs WHERE id = ?1",
    [STATEMENT_EPOCH_COUNT] =
        "SELECT (SELECT count(*) FROM messages WHERE epoch = ?1)"
        " + (SELECT count(*) FROM outcomes AS o JOIN messages AS m ON m.id = o.id"
        " WHERE o.answer_epoch = ?1)"
        " + (SELECT count(*) FROM records WHERE answer_epoch = ?1)",
    [STATEMENT_RECOUNT_MESSAGES] = "SELECT m.id, m.epoch, o.answer_epoch" ROW_FROM
                                   "WHERE m.id > ?1 AND m.id < ?2 ORDER BY m.id LIMIT ?3",
    [STATEMENT_RECOUNT_RECORDS] = "SELECT sequence, answer_epoch FROM records"
                                  " WHERE sequence > ?1 AND sequence < ?2 ORDER BY sequence"
                                  " LIMIT ?3",
    [STATEMENT_LANES] = "SELECT id, name, route, queued, dead, kept, queued_bytes, bytes,"
                        " stopped_by FROM lanes ORDER BY id",
    [STATEMENT_LANE_INSERT] = "INSERT OR REPLACE INTO lanes VALUES (?1, ?2, ?3, 0, 0, 0, 0, 0, 0)",
    [STATEMENT_LANE_UPDATE] = "UPDATE lanes SET queued = ?2, dead = ?3, kept = ?4,"
                              " queued_bytes = ?5, bytes = ?6, stopped_by = ?7 WHERE id = ?1",
    [STATEMENT_LANE_DELETE] = "DELETE FROM lanes WHERE id = ?1",
    [STATEMENT_LANE_OLDEST] = "SELECT received_ms FROM messages WHERE id ="
                              " (SELECT id FROM queue WHERE lane = ?1 ORDER BY id LIMIT 1)",
    [STATEMENT_MESSAGE_INSERT] = "INSERT INTO messages VALUES"
                                 " (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    [STATEMENT_MESSAGE_DELETE] = "DELETE FROM messages WHERE id = ?1",
    [STATEMENT_MESSAGE_RESEAL] =
        "UPDATE messages SET lane = ?2, epoch = ?3, connection = ?4, body = ?5 WHERE id = ?1",
    [STATEMENT_MESSAGE_LANE] = "UPDATE messages SET lane = ?2 WHERE id = ?1",
    [STATEMENT_MESSAGE_SETTLED] =
        "SELECT m.id, m.lane, m.bytes, m.epoch, o.id, o.state, o.attempts,"
        " o.counted, o.answer_epoch, o.answer_bytes" ROW_FROM "WHERE m.id = ?1",
    [STATEMENT_MESSAGE_ROW] = "SELECT " ROW_COLUMNS ROW_FROM "WHERE m.id = ?1",
    [STATEMENT_MESSAGE_BODY] = "SELECT body FROM messages WHERE id = ?1",
    [STATEMENT_QUEUE_INSERT] = "INSERT INTO queue VALUES (?1, ?2)",
    [STATEMENT_QUEUE_DELETE] = "DELETE FROM queue WHERE lane = ?1 AND id = ?2",
    [STATEMENT_QUEUE_LANE] =
        "SELECT id FROM queue WHERE lane = ?1 AND id >= ?2 AND id < ?3 ORDER BY id",
    [STATEMENT_OUTCOME_PUT] = "INSERT OR REPLACE INTO outcomes VALUES"
                              " (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    [STATEMENT_OUTCOME_DELETE] = "DELETE FROM outcomes WHERE id = ?1",
    [STATEMENT_OUTCOME_ANSWER] = "SELECT answer FROM outcomes WHERE id = ?1",
    [STATEMENT_OUTCOME_KEPT] =
        "SELECT id FROM outcomes WHERE state = 1 AND settled_ms <= ?1 ORDER BY settled_ms LIMIT ?2",
    [STATEMENT_OUTCOME_AFTER] = "SELECT o.id, m.lane FROM outcomes AS o JOIN messages AS m"
                                " ON m.id = o.id WHERE o.id > ?1 ORDER BY o.id",
    [STATEMENT_LIST_ALL] = "SELECT " ROW_COLUMNS ROW_FROM "WHERE m.id > ?1 ORDER BY m.id",
    [STATEMENT_LIST_LANE_QUEUED] =
        "SELECT " ROW_COLUMNS " FROM queue AS q JOIN messages AS m ON m.id = q.id"
        " LEFT JOIN outcomes AS o ON o.id = m.id WHERE q.lane = ?2 AND q.id > ?1 ORDER BY q.id",
    [STATEMENT_LIST_SETTLED] =
        "SELECT " ROW_COLUMNS " FROM outcomes AS o JOIN messages AS m ON m.id = o.id"
        " WHERE o.id > ?1 AND o.id <= ?3 AND o.state = ?2 ORDER BY o.id",
    [STATEMENT_OUTCOME_BOUND] =
        "SELECT id FROM outcomes WHERE id > ?1 ORDER BY id LIMIT 1 OFFSET ?2",
    [STATEMENT_MESSAGE_AFTER] = "SELECT id, epoch FROM messages WHERE id > ?1 ORDER BY id",
    [STATEMENT_RECORD_INSERT] =
        "INSERT OR REPLACE INTO records VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [STATEMENT_RECORD_GET] = "SELECT digest FROM records WHERE sequence = ?1",
    [STATEMENT_RECORD_FULL] = "SELECT digest, recorded_ms, code, is_hl7, answer_epoch, answer"
                              " FROM records WHERE sequence = ?1",
    [STATEMENT_RECORD_DELETE] = "DELETE FROM records WHERE sequence = ?1",
    [STATEMENT_RECORD_FIRST] = "SELECT sequence, recorded_ms, answer_epoch FROM records"
                               " ORDER BY sequence LIMIT 1",
    [STATEMENT_RECORDS_AFTER] =
        "SELECT sequence, digest, answer_epoch FROM records WHERE sequence > ?1 ORDER BY sequence",
    [STATEMENT_RECORD_BOUNDS] = "SELECT max(sequence) FROM records",
    [STATEMENT_RUNS] = "SELECT first, last, filter FROM runs ORDER BY first",
    [STATEMENT_RUN_INSERT] = "INSERT OR REPLACE INTO runs VALUES (?1, ?2, ?3)",
    [STATEMENT_RUN_DELETE] = "DELETE FROM runs WHERE first = ?1",
    [STATEMENT_BUCKET_INSERT] = "INSERT OR REPLACE INTO buckets VALUES (?1, ?2)",
    [STATEMENT_BUCKET_GET] = "SELECT entries FROM buckets WHERE id = ?1",
    [STATEMENT_BUCKETS_DELETE] = "DELETE FROM buckets WHERE id >= ?1 AND id < ?2",
};

/* ---- errors ---- */

static int error_of(sqlite3 *database, int code)
{
    int system = sqlite3_system_errno(database);

    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return 0;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_TOOBIG:
        return -EFBIG;
    case SQLITE_IOERR:
        return code == SQLITE_IOERR_NOMEM                                ? -ENOMEM
               : system == ENOSPC || system == EDQUOT || system == EFBIG ? -ENOSPC
                                                                         : -EIO;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_PERM:
    case SQLITE_READONLY:
        return -EROFS;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return -EUCLEAN;
    default:
        return -EIO;
    }
}

int database_error_of(const struct sqlite_spool *spool, int code)
{
    return error_of(spool->database, code);
}

int database_error(struct sqlite_spool *spool)
{
    int result = error_of(spool->database, sqlite3_extended_errcode(spool->database));

    spool->failed = true;
    return result == 0 ? -EIO : result;
}

/* ---- statements ---- */

sqlite3_stmt *statement_get(struct sqlite_spool *spool, enum statement which)
{
    sqlite3_stmt **statement = &spool->statements[which];

    if (*statement == NULL &&
        sqlite3_prepare_v3(spool->database, statement_texts[which], -1, SQLITE_PREPARE_PERSISTENT,
                           statement, NULL) != SQLITE_OK)
        spool->failed = true;
    return *statement;
}

int statement_step(struct sqlite_spool *spool, sqlite3_stmt *statement)
{
    if (statement == NULL)
        return database_error(spool);
    /* SQLite may have rolled back by itself (a full disk): what is written now would be committed
     * at once, alone. */
    if (spool->failed && !sqlite3_stmt_readonly(statement))
        return -EIO;
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        return 1;
    int result = code == SQLITE_DONE ? 0 : database_error(spool);
    sqlite3_reset(statement);
    return result;
}

int statement_run(struct sqlite_spool *spool, sqlite3_stmt *statement)
{
    int result = statement_step(spool, statement);

    if (result == 1) {
        sqlite3_reset(statement);
        return 0;
    }
    return result;
}

void statement_bind_text(sqlite3_stmt *statement, int index, const char *text)
{
    sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
}

void statement_bind_span(sqlite3_stmt *statement, int index, struct span bytes)
{
    /* A NULL pointer would bind NULL, not an empty blob. */
    sqlite3_bind_blob64(statement, index, bytes.length == 0 ? "" : bytes.data, bytes.length,
                        SQLITE_STATIC);
}

struct span statement_span(sqlite3_stmt *statement, int column)
{
    const void *data = sqlite3_column_blob(statement, column);

    return span_of(data, (size_t)sqlite3_column_bytes(statement, column));
}

int database_execute(struct sqlite_spool *spool, const char *sql)
{
    if (sqlite3_exec(spool->database, sql, NULL, NULL, NULL) == SQLITE_OK)
        return 0;
    return database_error(spool);
}

/* ---- meta ---- */

int meta_get(struct sqlite_spool *spool, const char *key, void *ret_value, size_t size,
             size_t *ret_length)
{
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_META_GET);

    if (statement != NULL)
        statement_bind_text(statement, 1, key);
    int result = statement_step(spool, statement);
    if (result <= 0)
        return result == 0 ? -ENOENT : result;
    struct span value = statement_span(statement, 0);
    if (value.length > size) {
        result = -EIO;
    } else {
        memcpy(ret_value, value.data, value.length);
        *ret_length = value.length;
        result = 0;
    }
    sqlite3_reset(statement);
    return result;
}

int meta_put(struct sqlite_spool *spool, const char *key, struct span value)
{
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_META_PUT);

    if (statement == NULL)
        return database_error(spool);
    statement_bind_text(statement, 1, key);
    statement_bind_span(statement, 2, value);
    return statement_run(spool, statement);
}

int meta_delete(struct sqlite_spool *spool, const char *key)
{
    sqlite3_stmt *statement = statement_get(spool, STATEMENT_META_DELETE);

    if (statement == NULL)
        return database_error(spool);
    statement_bind_text(statement, 1, key);
    return statement_run(spool, statement);
}

/* ---- opening ---- */

/* One connection, and exclusive before WAL: then the WAL's index is in our memory and no second
 * connection can exist (SQLite before 3.51.3 can lose a WAL with two). synchronous=FULL flushes at
 * every commit. The WAL may grow to 8 MB before it is copied back: fewer flushes, and pages that
 * changed many times are copied once. */
static const char pragma_lock[] = "PRAGMA locking_mode = EXCLUSIVE";
/* For an empty file only: in any other it writes, which a full disk has no room for. */
static const char pragma_new[] = "PRAGMA auto_vacuum = INCREMENTAL";
static const char pragmas[] = "PRAGMA journal_mode = WAL;"
                              "PRAGMA synchronous = FULL;"
                              "PRAGMA wal_autocheckpoint = 2000;" /* until reserve_watch() */
                              "PRAGMA journal_size_limit = 16777216;"
                              "PRAGMA cache_size = -2048;"
                              "PRAGMA mmap_size = 0;"
                              "PRAGMA temp_store = MEMORY;"
                              "PRAGMA secure_delete = OFF;" /* bodies are sealed */
                              "PRAGMA cell_size_check = ON;"
                              "PRAGMA trusted_schema = OFF;";

static int pragma_number(struct sqlite_spool *spool, const char *sql, int64_t *ret_number)
{
    sqlite3_stmt *statement = NULL;
    int result = 0;

    if (sqlite3_prepare_v2(spool->database, sql, -1, &statement, NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW)
        result = database_error(spool);
    else
        *ret_number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return result;
}

static int set_pragmas(struct sqlite_spool *spool)
{
    int64_t pages = 0;

    int result = database_execute(spool, pragma_lock);
    if (result == 0)
        result = pragma_number(spool, "PRAGMA page_count", &pages);
    if (result == 0 && pages == 0)
        result = database_execute(spool, pragma_new);
    return result < 0 ? result : database_execute(spool, pragmas);
}

/* SQLite makes files with the umask's mode; the WAL takes the database's. */
static int make_file(const char *path, char ret_error[512])
{
    struct stat status;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int result = 0;

    if (fd < 0 || fstat(fd, &status) < 0 || ((status.st_mode & 077) != 0 && fchmod(fd, 0600) < 0))
        result = -errno;
    else if (!S_ISREG(status.st_mode))
        result = -EINVAL;
    if (result < 0)
        snprintf(ret_error, 512, "the spool %s cannot be opened: %s", path, strerror(-result));
    if (fd >= 0)
        close(fd); /* before SQLite opens it: closing drops the process's locks on the file */
    return result;
}

static int say(struct sqlite_spool *spool, const char *path, int result, char ret_error[512])
{
    if (result == -EBUSY)
        snprintf(ret_error, 512, "the spool %s is in use by another process", path);
    else
        snprintf(ret_error, 512, "the spool %s cannot be opened: %s", path,
                 spool->database == NULL ? "memory is out" : sqlite3_errmsg(spool->database));
    return result;
}

static int make_schema(struct sqlite_spool *spool)
{
    char text[128];

    int result = database_execute(spool, schema);
    snprintf(text, sizeof text, "PRAGMA application_id = %d; PRAGMA user_version = %d",
             SPOOL_APPLICATION_ID, SPOOL_SCHEMA_VERSION);
    return result < 0 ? result : database_execute(spool, text);
}

/* An empty database is made in the transaction that also writes the keys: all of it or nothing. */
static int check_version(struct sqlite_spool *spool, const char *path, bool *ret_created,
                         char ret_error[512])
{
    int64_t application, version, pages;

    int result = pragma_number(spool, "PRAGMA application_id", &application);
    if (result == 0)
        result = pragma_number(spool, "PRAGMA user_version", &version);
    if (result == 0)
        result = pragma_number(spool, "SELECT count(*) FROM sqlite_schema", &pages);
    if (result < 0)
        return say(spool, path, result, ret_error);
    *ret_created = application == 0 && version == 0 && pages == 0;
    if (*ret_created)
        return 0;
    if (application != SPOOL_APPLICATION_ID) {
        snprintf(ret_error, 512, "%s is a database, but not a spool", path);
        return -EINVAL;
    }
    if (version > SPOOL_SCHEMA_VERSION) {
        snprintf(ret_error, 512,
                 "the spool %s has format %d, which a newer version of the gateway wrote; this one "
                 "knows %d",
                 path, (int)version, SPOOL_SCHEMA_VERSION);
        return -EINVAL;
    }
    return 0;
}

int database_open(struct sqlite_spool *spool, const char *path, bool *ret_created,
                  char ret_error[512])
{
    int result = make_file(path, ret_error);

    if (result < 0)
        return result;
    if (sqlite3_open_v2(path, &spool->database,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                        NULL) != SQLITE_OK)
        return say(spool, path, -EIO, ret_error);
    /* Until the keys are known to be right nothing is to change, closing included. */
    sqlite3_db_config(spool->database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_db_config(spool->database, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    result = set_pragmas(spool);
    if (result < 0)
        return say(spool, path, result, ret_error);
    return check_version(spool, path, ret_created, ret_error);
}

int database_begin(struct sqlite_spool *spool, const char *path, bool created, char ret_error[512])
{
    int result = database_execute(spool, "BEGIN IMMEDIATE");

    if (result == 0 && created)
        result = make_schema(spool);
    return result < 0 ? say(spool, path, result, ret_error) : 0;
}

void database_close(struct sqlite_spool *spool)
{
    for (size_t i = 0; i < STATEMENT_COUNT; i++)
        sqlite3_finalize(spool->statements[i]);
    sqlite3_close(spool->database);
    spool->database = NULL;
}
