/* Files and directories for send_source. */
#include "base/buffer.h"
#include "ctl/send_source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_DEPTH 16

static int files_read(int fd, struct buffer *out)
{
    for (;;) {
        int result = buffer_reserve(out, out->capacity > out->length ? 1 : 65536);
        if (result < 0)
            return result == -EMSGSIZE ? -EFBIG : result;
        ssize_t got = read(fd, out->data + out->length, out->capacity - out->length);
        if (got == 0)
            return 0;
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got > 0)
            out->length += (size_t)got;
    }
}

static const char *files_words(int error)
{
    if (error == -EBADMSG)
        return "the last MLLP frame has no end";
    if (error == -EFBIG)
        return "too large (1 GB of messages at most)";
    return strerror(-error);
}

static int files_add_fd(struct send_source *source, int fd, bool as_is)
{
    struct buffer content;

    buffer_init(&content, (size_t)SEND_SOURCE_MAXIMUM);
    int result = files_read(fd, &content);
    if (result == 0 && content.length > 0)
        result = send_source_add_content(source, content.data, content.length, as_is);
    buffer_free(&content);
    return result;
}

static int files_add(struct send_source *source, const char *path, bool as_is, int depth,
                     char ret_error[512]);

static int files_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int files_add_directory(struct send_source *source, const char *path, bool as_is, int depth,
                               char ret_error[512])
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, files_visible, alphasort);
    int result = count < 0 ? -errno : 0;

    if (count < 0)
        snprintf(ret_error, 512, "%s: %s", path, strerror(errno));
    for (int i = 0; i < count; i++) {
        char *name = NULL;
        if (result == 0 && asprintf(&name, "%s/%s", path, entries[i]->d_name) >= 0) {
            result = files_add(source, name, as_is, depth + 1, ret_error);
            free(name);
        }
        free(entries[i]);
    }
    free(entries);
    return result;
}

static int files_add(struct send_source *source, const char *path, bool as_is, int depth,
                     char ret_error[512])
{
    struct stat status = {0};
    int fd =
        strcmp(path, "-") == 0 && depth == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    int result = fd < 0 || fstat(fd, &status) < 0 ? -errno : 0;

    if (result == 0 && S_ISDIR(status.st_mode)) {
        close(fd);
        if (depth < FILES_DEPTH)
            return files_add_directory(source, path, as_is, depth, ret_error);
        snprintf(ret_error, 512, "%s: directories too deep", path);
        return -ELOOP;
    }
    if (result == 0)
        result = files_add_fd(source, fd, as_is);
    if (fd >= 0)
        close(fd);
    if (result < 0)
        snprintf(ret_error, 512, "%s: %s", path, files_words(result));
    return result;
}

int send_source_add_path(struct send_source *source, const char *path, bool as_is,
                         char ret_error[512])
{
    return files_add(source, path, as_is, 0, ret_error);
}
