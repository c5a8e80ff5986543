#include "egress/directory_write.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DIRECTORY_AT_ONCE ((size_t)64) /* open files */
#define DIRECTORY_TEMPORARY_BYTES (DIRECTORY_NAME_BYTES + 31)
#define DIRECTORY_STALE_S 3600

static void directory_fail(struct directory_file *file, int error, const char *step)
{
    file->error = -error;
    file->step = step;
}

/* Unique among processes that share a directory and among the files of one call. */
static void directory_temporary(const struct directory_file *file, const void *address,
                                char ret_name[DIRECTORY_TEMPORARY_BYTES])
{
    snprintf(ret_name, DIRECTORY_TEMPORARY_BYTES, ".%s.%x.%x.tmp", file->name, (unsigned)getpid(),
             (unsigned)((uintptr_t)address / sizeof(*file)));
}

static bool directory_has(int directory_fd, const struct directory_file *file)
{
    struct stat there;

    return fstatat(directory_fd, file->name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(there.st_mode) && (uint64_t)there.st_size == file->content.length;
}

static int directory_write_all(int fd, struct span content)
{
    while (content.length > 0) {
        ssize_t written = write(fd, content.data, content.length);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -errno;
        content = span_of(content.data + written, content.length - (size_t)written);
    }
    return 0;
}

static void directory_create(int directory_fd, mode_t mode, struct directory_file *file)
{
    char name[DIRECTORY_TEMPORARY_BYTES];
    int result;

    if (directory_has(directory_fd, file))
        return;
    directory_temporary(file, file, name);
    file->fd = openat(directory_fd, name,
                      O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, mode);
    if (file->fd < 0) {
        directory_fail(file, errno, "create");
        return;
    }
    file->temporary = true;
    result = directory_write_all(file->fd, file->content);
    if (result != 0)
        directory_fail(file, -result, "write");
}

static void directory_sync(struct directory_file *file)
{
    if (file->fd < 0)
        return;
    if (file->error == 0 && fsync(file->fd) != 0)
        directory_fail(file, errno, "fsync");
    /* Some file systems (NFS) tell only here that the disk is full. */
    if (close(file->fd) != 0 && file->error == 0)
        directory_fail(file, errno, "close");
    file->fd = -1;
}

static void directory_rename(int directory_fd, struct directory_file *file)
{
    char name[DIRECTORY_TEMPORARY_BYTES];

    directory_temporary(file, file, name);
    if (file->error == 0 && renameat(directory_fd, name, directory_fd, file->name) == 0)
        file->temporary = false;
    else if (file->error == 0)
        directory_fail(file, errno, "rename");
    if (file->temporary)
        (void)unlinkat(directory_fd, name, 0);
    file->temporary = false;
}

static bool directory_may_go_on(const struct directory_file *files, size_t index)
{
    if (atomic_load_explicit(files[index].cancelled, memory_order_acquire))
        return false;
    return index == 0 || files[index - 1].group != files[index].group ||
           files[index - 1].error == 0;
}

/* files[first] may look back at the one before it. */
static void directory_write_some(int directory_fd, mode_t mode, struct directory_file *files,
                                 size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        if (directory_may_go_on(files, i))
            directory_create(directory_fd, mode, &files[i]);
        else
            directory_fail(&files[i], ECANCELED, "cancel");
    }
    for (size_t i = first; i < end; i++)
        directory_sync(&files[i]);
    for (size_t i = first; i < end; i++) {
        if (files[i].error == 0 && !directory_may_go_on(files, i))
            directory_fail(&files[i], ECANCELED, "cancel");
        if (files[i].temporary)
            directory_rename(directory_fd, &files[i]);
    }
}

static void directory_fail_rest(struct directory_file *files, size_t count, int error,
                                const char *step)
{
    for (size_t i = 0; i < count; i++) {
        if (files[i].error == 0)
            directory_fail(&files[i], error, step);
    }
}

void directory_write(const char *path, mode_t mode, struct directory_file *files, size_t count)
{
    int directory_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    for (size_t i = 0; i < count; i++) {
        files[i].fd = -1;
        files[i].error = 0;
        files[i].temporary = false;
        files[i].step = "";
    }
    if (directory_fd < 0) {
        directory_fail_rest(files, count, errno, "open");
        return;
    }
    for (size_t first = 0; first < count; first += DIRECTORY_AT_ONCE) {
        size_t end = count - first > DIRECTORY_AT_ONCE ? first + DIRECTORY_AT_ONCE : count;

        directory_write_some(directory_fd, mode, files, first, end);
    }
    /* Also for files that were there already: an earlier run may have died before this. */
    if (fsync(directory_fd) != 0)
        directory_fail_rest(files, count, errno, "fsync of the directory");
    close(directory_fd);
}

void directory_sync_parent(const char *path)
{
    int directory_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int parent_fd =
        directory_fd < 0 ? -1 : openat(directory_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (parent_fd >= 0) {
        (void)fsync(parent_fd); /* where it fails, files will, too */
        close(parent_fd);
    }
    if (directory_fd >= 0)
        close(directory_fd);
}

static bool directory_is_stale(int directory_fd, const char *name)
{
    size_t length = strlen(name);
    struct stat there;

    return name[0] == '.' && length > 4 && strcmp(name + length - 4, ".tmp") == 0 &&
           strstr(name, ".hl7.") != NULL &&
           fstatat(directory_fd, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(there.st_mode) && time(NULL) - there.st_mtime > DIRECTORY_STALE_S;
}

void directory_sweep(const char *path)
{
    DIR *directory = opendir(path);

    if (directory == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (directory_is_stale(dirfd(directory), entry->d_name))
            (void)unlinkat(dirfd(directory), entry->d_name, 0);
    }
    closedir(directory);
}
