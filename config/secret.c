#include "config/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

__attribute__((format(printf, 3, 4))) static int fail(int error, char *ret_error,
                                                      const char *format, ...)
{
    if (ret_error) {
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(ret_error, SECRET_ERROR_BYTES, format, arguments);
        va_end(arguments);
    }
    return error;
}

/* Group-readable is accepted: Kubernetes mounts secrets so. */
static int check_status(const char *path, const struct stat *status, char *ret_error)
{
    unsigned mode = (unsigned)status->st_mode & 07777u;
    if (!S_ISREG(status->st_mode)) {
        return fail(-EINVAL, ret_error, "%s is not a regular file", path);
    }
    if (mode & S_IRWXO) {
        return fail(-EPERM, ret_error, "%s is open to others (mode %04o): chmod o= %s", path, mode,
                    path);
    }
    if (mode & S_IWGRP) {
        return fail(-EPERM, ret_error, "%s can be changed by its group (mode %04o): chmod g-w %s",
                    path, mode, path);
    }
    return 0;
}

int secret_check_mode(const char *path, char ret_error[SECRET_ERROR_BYTES])
{
    struct stat status;
    if (stat(path, &status) < 0) {
        int error = errno;
        return fail(-error, ret_error, "cannot look at %s: %s", path, strerror(error));
    }
    return check_status(path, &status, ret_error);
}

/* NONBLOCK: a FIFO in the secret's place must not hang the start. The open file is what is checked,
 * so nobody can swap it in between. */
static int open_secret(const char *path, size_t maximum_bytes, int *ret_fd, size_t *ret_size,
                       char *ret_error)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) < 0) {
        int error = errno;
        if (fd >= 0) {
            close(fd);
        }
        return fail(-error, ret_error, "cannot read %s: %s", path, strerror(error));
    }
    int result = check_status(path, &status, ret_error);
    if (result == 0 && (unsigned long long)status.st_size > maximum_bytes) {
        result = fail(-EFBIG, ret_error, "%s is larger than the %zu bytes it may have", path,
                      maximum_bytes);
    }
    if (result < 0) {
        close(fd);
        return result;
    }
    *ret_fd = fd;
    *ret_size = (size_t)status.st_size;
    return 0;
}

/* Up to `size` + 1 bytes: one more than expected shows that the file grew meanwhile. */
static int read_whole(int fd, char *text, size_t size, size_t *ret_length)
{
    size_t length = 0;
    while (length <= size) {
        ssize_t got = read(fd, text + length, size + 1 - length);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -errno;
        }
        if (got == 0) {
            text[length] = '\0';
            *ret_length = length;
            return 0;
        }
        length += (size_t)got;
    }
    return -EAGAIN;
}

int secret_read(const char *path, size_t maximum_bytes, char **ret_text, size_t *ret_length,
                char ret_error[SECRET_ERROR_BYTES])
{
    int fd = -1;
    size_t size = 0, length = 0;
    int result = open_secret(path, maximum_bytes, &fd, &size, ret_error);
    if (result < 0) {
        return result;
    }
    char *text = malloc(size + 2);
    result = text ? read_whole(fd, text, size, &length) : -ENOMEM;
    close(fd);
    if (result < 0) {
        secret_free(&text, size + 1);
        return fail(result, ret_error, "cannot read %s: %s", path,
                    result == -EAGAIN ? "it is being written" : strerror(-result));
    }
    *ret_text = text;
    *ret_length = length;
    return 0;
}

int secret_read_line(const char *path, size_t maximum_bytes, char **ret_text,
                     char ret_error[SECRET_ERROR_BYTES])
{
    char *text = NULL;
    size_t length = 0;
    int result = secret_read(path, maximum_bytes, &text, &length, ret_error);
    if (result < 0) {
        return result;
    }
    size_t kept = length;
    if (kept > 0 && text[kept - 1] == '\n') {
        kept -= kept > 1 && text[kept - 2] == '\r' ? 2 : 1;
        text[kept] = '\0';
    }
    const char *wrong = kept == 0              ? "is empty"
                        : strlen(text) != kept ? "has a NUL byte in it"
                        : memchr(text, '\n', kept) || memchr(text, '\r', kept)
                            ? "has more than one line"
                            : NULL;
    if (wrong) {
        secret_free(&text, length);
        return fail(-EINVAL, ret_error, "%s %s: it should hold the secret in one line", path,
                    wrong);
    }
    *ret_text = text;
    return 0;
}

void secret_free(char **text, size_t length)
{
    if (text && *text) {
        explicit_bzero(*text, length);
        free(*text);
        *text = NULL;
    }
}
