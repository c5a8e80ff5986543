/*
 * spool_files: a directory with a spool's database and key file, for tests. Header only.
 */
#ifndef MLLPGW_TESTS_SPOOL_FILES_H
#define MLLPGW_TESTS_SPOOL_FILES_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct spool_files {
    char directory[128];
    char database[160], wal[160], reserve[176], keys[160];
};

#define SPOOL_KEY_A "a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90"
#define SPOOL_KEY_B "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static inline void spool_files_keys(const struct spool_files *files, const char *text)
{
    int fd = open(files->keys, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        abort();
    close(fd);
}

static inline void spool_files_make(struct spool_files *files)
{
    const char *base = getenv("TMPDIR");

    snprintf(files->directory, sizeof files->directory, "%.64s/mllpgw-spool-XXXXXX",
             base == NULL ? "/tmp" : base);
    if (mkdtemp(files->directory) == NULL)
        abort();
    snprintf(files->database, sizeof files->database, "%s/spool.db", files->directory);
    snprintf(files->wal, sizeof files->wal, "%s/spool.db-wal", files->directory);
    snprintf(files->reserve, sizeof files->reserve, "%s-reserve", files->database);
    snprintf(files->keys, sizeof files->keys, "%s/spool.key", files->directory);
    spool_files_keys(files, "one " SPOOL_KEY_A "\n");
}

static inline void spool_files_remove(struct spool_files *files)
{
    unlink(files->wal);
    unlink(files->reserve);
    unlink(files->database);
    unlink(files->keys);
    rmdir(files->directory);
}

/* The whole file; NULL (and 0) when there is none. */
static inline char *spool_files_read(const char *path, size_t *ret_length)
{
    struct stat status;
    int fd = open(path, O_RDONLY);

    *ret_length = 0;
    if (fd < 0)
        return NULL;
    if (fstat(fd, &status) < 0)
        abort();
    char *data = malloc((size_t)status.st_size + 1);
    if (data == NULL || read(fd, data, (size_t)status.st_size) != (ssize_t)status.st_size)
        abort();
    close(fd);
    data[status.st_size] = '\0';
    *ret_length = (size_t)status.st_size;
    return data;
}

#endif
