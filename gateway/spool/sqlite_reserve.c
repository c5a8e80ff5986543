/*
 * A disk that is full.
 *
 * Deleting rows gives nothing back to it, and needs some room itself: in the WAL, which is copied back
 * so that it is written from its beginning. Where that needs room that the disk hasn't got (the database
 * grows by what is only in the WAL), the reserve is given up: a file beside the database that has no
 * other purpose. What is free inside the database goes back by vacuum (sqlite_purge.c), and is the
 * disk's once the WAL is copied back again; then the reserve is made anew.
 *
 * A reserve that was given up stays as an empty file: the next start knows by it that messages must
 * wait. File systems that copy on write may want room even to delete: there it guarantees nothing.
 */
#include "spool/sqlite_private.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define RESERVE_LEAST (INT64_C(256) << 10) /* a smaller one would hold no transaction */
#define RESERVE_OF_DISK 8                  /* no more than this part of it */
/* The WAL before it is copied back, in pages; less where the reserve is small, which must hold the
 * same again. */
#define CHECKPOINT_PAGES 2000
#define CHECKPOINT_PAGES_LEAST 16
#define PAGE_BYTES 4096

/* ---- the disk ---- */

static const char *database_name(struct sqlite_spool *spool)
{
    return sqlite3_db_filename(spool->database, "main");
}

static bool disk_has(struct sqlite_spool *spool, int64_t bytes)
{
    const char *file = database_name(spool);
    struct statvfs disk;

    /* What can't be asked is tried. */
    return file == NULL || statvfs(file, &disk) != 0 ||
           disk.f_bavail > (uint64_t)bytes / (disk.f_frsize == 0 ? 1 : disk.f_frsize);
}

/* The WAL's blocks stay the spool's with RESTART; TRUNCATE gives them to whoever comes first. */
static bool checkpoint(struct sqlite_spool *spool, int mode)
{
    if (sqlite3_wal_checkpoint_v2(spool->database, NULL, mode, NULL, NULL) != SQLITE_OK)
        return false;
    spool->wal_stuck = false;
    return true;
}

/* Behind each commit. What can't be copied for want of room would otherwise go unnoticed until the WAL
 * has no room either, and be more by then than the reserve holds. */
static int wal_has_grown(void *context, sqlite3 *database, const char *name, int pages)
{
    struct sqlite_spool *spool = context;

    if (pages < spool->checkpoint_pages)
        return SQLITE_OK;
    int code = sqlite3_wal_checkpoint_v2(database, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    spool->wal_stuck = code != SQLITE_OK && database_error_of(spool, code) == -ENOSPC;
    return SQLITE_OK; /* the commit is one all the same */
}

void reserve_watch(struct sqlite_spool *spool)
{
    spool->checkpoint_pages = CHECKPOINT_PAGES;
    sqlite3_wal_hook(spool->database, wal_has_grown, spool);
}

static int64_t wal_bytes(struct sqlite_spool *spool)
{
    const char *file = database_name(spool);
    struct stat status;

    return file == NULL || stat(sqlite3_filename_wal(file), &status) < 0 ? 0 : status.st_size;
}

/* The same, but first what vacuum has freed becomes the disk's, and then the WAL if that makes it
 * enough. */
static bool disk_gets(struct sqlite_spool *spool, int64_t bytes)
{
    if (disk_has(spool, bytes))
        return true;
    if (!checkpoint(spool, SQLITE_CHECKPOINT_RESTART))
        return false;
    if (disk_has(spool, bytes))
        return true;
    int64_t wal = wal_bytes(spool);
    return wal > 0 && disk_has(spool, bytes > wal ? bytes - wal : 0) &&
           checkpoint(spool, SQLITE_CHECKPOINT_TRUNCATE) && disk_has(spool, bytes);
}

bool sqlite_disk_room(struct spool_backend *backend, int64_t bytes)
{
    struct sqlite_spool *spool = sqlite_of(backend);

    if (disk_has(spool, bytes))
        return true;
    spool->short_of_room = true;
    return false;
}

/* ---- the file ---- */

static int open_file(const char *path, int flags)
{
    return open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
}

/* Not zeros: some file systems keep none. */
static int write_bytes(int fd, int64_t from, int64_t to)
{
    char block[65536];

    memset(block, 0xa5, sizeof block);
    while (from < to) {
        size_t wanted = to - from < (int64_t)sizeof block ? (size_t)(to - from) : sizeof block;
        ssize_t written = pwrite(fd, block, wanted, from);
        if (written <= 0)
            return written < 0 ? -errno : -EIO;
        from += written;
    }
    return 0;
}

static bool reserve_make(struct sqlite_spool *spool, int64_t bytes)
{
    struct sqlite_reserve *reserve = &spool->reserve;
    int result = fallocate(reserve->fd, 0, 0, bytes) < 0 ? -errno : 0;

    if (result == -EOPNOTSUPP || result == -ENOSYS)
        result = write_bytes(reserve->fd, reserve->bytes, bytes);
    if (result == 0 && fsync(reserve->fd) < 0)
        result = -errno;
    if (result < 0) {
        (void)!ftruncate(reserve->fd, reserve->bytes);
        return false;
    }
    reserve->bytes = bytes;
    return true;
}

static void reserve_give_up(struct sqlite_spool *spool)
{
    struct sqlite_reserve *reserve = &spool->reserve;

    if (reserve->bytes == 0)
        return;
    if (ftruncate(reserve->fd, 0) < 0)
        return;
    (void)fsync(reserve->fd); /* some file systems free the blocks only then */
    LOG_EVENT(LOG_LEVEL_WARNING, "spool-reserve-given-up", LOG_INTEGER("bytes", reserve->bytes),
              LOG_STRING("consequence", "what is settled uses it, until the disk has room again"));
    reserve->bytes = 0;
}

static void set_checkpoint(struct sqlite_spool *spool)
{
    int64_t pages = spool->reserve.bytes / 4 / PAGE_BYTES;

    if (spool->reserve.wanted == 0 || pages > CHECKPOINT_PAGES)
        pages = CHECKPOINT_PAGES;
    if (pages < CHECKPOINT_PAGES_LEAST)
        pages = CHECKPOINT_PAGES_LEAST;
    spool->checkpoint_pages = (int)pages;
}

void reserve_open(struct sqlite_spool *spool)
{
    struct sqlite_reserve *reserve = &spool->reserve;
    int64_t wanted = spool->settings.reserve_bytes;
    struct statvfs disk;
    struct stat status;
    char path[4096];

    int length = snprintf(path, sizeof path, "%s-reserve", spool->settings.path);
    if (length < 0 || (size_t)length >= sizeof path)
        return;
    if (wanted == 0) {
        unlink(path);
        return;
    }
    reserve->fd = open_file(path, 0);
    if (reserve->fd < 0) {
        reserve->fd = open_file(path, O_CREAT);
        reserve->any = true;
    }
    if (reserve->fd < 0 || fstat(reserve->fd, &status) < 0 || !S_ISREG(status.st_mode))
        return;
    if (fstatvfs(reserve->fd, &disk) == 0 && disk.f_frsize > 0 &&
        (uint64_t)wanted / disk.f_frsize > disk.f_blocks / RESERVE_OF_DISK)
        wanted = (int64_t)(disk.f_blocks / RESERVE_OF_DISK * disk.f_frsize);
    if (wanted < RESERVE_LEAST)
        wanted = RESERVE_LEAST;
    reserve->wanted = reserve->needed = wanted;
    if (status.st_size == 0)
        return;
    if (status.st_size > wanted)
        (void)!ftruncate(reserve->fd, wanted);
    /* Copied from elsewhere it may have holes. */
    if (reserve_make(spool, status.st_size > wanted ? wanted : status.st_size))
        reserve->needed = reserve->bytes;
    else
        (void)!ftruncate(reserve->fd, 0);
}

void reserve_close(struct sqlite_spool *spool)
{
    if (spool->reserve.fd >= 0)
        close(spool->reserve.fd);
}

/* ---- full, and no longer ---- */

void sqlite_make_room(struct spool_backend *backend, bool all)
{
    struct sqlite_spool *spool = sqlite_of(backend);

    spool->short_of_room = true;
    if (all)
        reserve_give_up(spool);
    if (checkpoint(spool, SQLITE_CHECKPOINT_RESTART) || spool->reserve.bytes == 0)
        return;
    reserve_give_up(spool);
    (void)checkpoint(spool, SQLITE_CHECKPOINT_RESTART);
}

/* As large as the disk allows, in halves; not below what there was before it was given up, unless any
 * will do. */
static void reserve_grow(struct sqlite_spool *spool, int64_t bytes, bool any)
{
    struct sqlite_reserve *reserve = &spool->reserve;
    int64_t least = any ? RESERVE_LEAST : reserve->needed;

    for (int64_t size = reserve->wanted; size >= least && size > reserve->bytes; size /= 2)
        if (disk_gets(spool, size - reserve->bytes + bytes) && reserve_make(spool, size))
            break;
}

static void say_how_much(struct sqlite_spool *spool)
{
    struct sqlite_reserve *reserve = &spool->reserve;

    if (reserve->told || reserve->bytes >= spool->settings.reserve_bytes)
        return;
    reserve->told = true;
    LOG_EVENT(LOG_LEVEL_WARNING, "spool-reserve-small",
              LOG_INTEGER("wanted", spool->settings.reserve_bytes),
              LOG_INTEGER("bytes", reserve->bytes),
              LOG_STRING("consequence", "once the disk is full, less can be settled"));
}

bool sqlite_reserve(struct spool_backend *backend, int64_t bytes, bool small)
{
    struct sqlite_spool *spool = sqlite_of(backend);
    struct sqlite_reserve *reserve = &spool->reserve;

    if (reserve->wanted > 0) {
        reserve_grow(spool, bytes, small || reserve->any);
        if (reserve->bytes > reserve->needed ||
            ((small || reserve->any) && reserve->bytes >= RESERVE_LEAST))
            reserve->needed = reserve->bytes;
        reserve->any = reserve->any && reserve->bytes == 0;
        set_checkpoint(spool);
    }
    bool there = (reserve->wanted == 0 || reserve->bytes >= reserve->needed) &&
                 (!spool->wal_stuck || checkpoint(spool, SQLITE_CHECKPOINT_RESTART));
    if (there)
        say_how_much(spool);
    spool->short_of_room = !there || !disk_gets(spool, bytes);
    return !spool->short_of_room;
}
